from .cities import CityMap as CityMap, map_city as map_city
