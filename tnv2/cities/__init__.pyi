from .cities import CityMap as CityMap, map_city as map_city
from .scene import SceneMap as SceneMap, map_scene as map_scene
