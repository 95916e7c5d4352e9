from .edits import Edit as Edit, Edited as Edited, checked_edits as checked_edits, edited as edited
from .labels import (
    Probabilities as Probabilities, Thresholds as Thresholds, eight_bit as eight_bit, flooded as flooded,
    label_instances as label_instances, region as region, seeds as seeds,
)  # fmt: skip
from .maps import Maps as Maps, read_probabilities as read_probabilities
from .recipes import PACKAGES as PACKAGES, Recipe as Recipe, Recipes as Recipes
from .scoring import Match as Match, Score as Score, city_table as city_table, match as match, score_city as score_city
from .search import PUBLISHED as PUBLISHED, Sweep as Sweep, best_point as best_point, sweep as sweep
