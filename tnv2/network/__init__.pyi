from .batches import predict_many as predict_many
from .inference import (
    IMAGENET_MEAN as IMAGENET_MEAN, IMAGENET_STD as IMAGENET_STD, METRES as METRES, Metres as Metres, as_input as as_input,
    best_precision as best_precision, checked_precision as checked_precision, known_shape as known_shape, predict as predict,
    resized as resized, scaled as scaled, together as together,
)  # fmt: skip
from .maps import predict_file as predict_file
from .onnx import write_onnx as write_onnx
from .ternausnet import ABN as ABN, NormAct as NormAct, TernausNetV2 as TernausNetV2
from .weights import (
    FILES as FILES, as_model as as_model, chosen_device as chosen_device, load_model as load_model, place_of as place_of,
    placed as placed, save_model as save_model, sha256 as sha256, weights_file as weights_file, weights_name as weights_name,
)  # fmt: skip
from .windows import STRIDE as STRIDE, padded as padded
