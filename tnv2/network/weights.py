"""Weights: from a name or a file to a network ready to predict, and back to a file."""

import hashlib
import json
import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..downloads import TIMEOUT, arriving, brief, cache_folder, verify, web_page
from ..files import PACKAGE, PathLike, box, expanded, replacing
from ..instances import Thresholds
from .ternausnet import TernausNetV2

State = dict[str, torch.Tensor]

FILES = {"mini": "mini.safetensors", "small": "small.safetensors", "published": "deepglobe_buildings.pt"}
RETRIES = 3  # of a download that broke off; each resumes it
PUBLISHED_AT = "https://drive.google.com/file/d/1k95VGNZG74Vvu-X-MSpbaHjMDvNEepIi/view"


def load_model(name_or_path: PathLike = "mini", device: str | torch.device = "auto") -> TernausNetV2:
    """Return a TernausNetV2 with its weights, in eval mode, on a device.

    name_or_path : "mini" or "small" (in the box; small takes twice the time, and its maps are a little better), "published"
        (the authors' ``deepglobe_buildings.pt``, which lies in ``weights/`` or is downloaded there from Google Drive,
        269 MB, where gdown is installed), or the path of a ``.safetensors`` file or of a checkpoint in the published
        ``.pt`` format.
    device : "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1", ...

    The network's sizes are read off the tensors. ``model.thresholds`` are the recommended Thresholds, the published
    demo's where the file names none; ``model.copes_without_mul`` says whether it was trained without MUL bands too.

    Nothing but tensors is ever loaded: a pickle with code in it is refused, as is a file that is cut short, a web page or of
    another network, with a ValueError that says what is missing or unexpected. Raises FileNotFoundError where there is no
    file, and where the published one could not be downloaded.
    """
    path = weights_file(name_or_path)
    if start := web_page(path):
        raise ValueError(
            f"{path} is a web page that begins {start!r}, not weights: a site asked for something instead of sending the "
            "file. Delete it, and save the file itself from a browser; "
            f"the published {FILES['published']} is at {PUBLISHED_AT}."
        )
    state, card = read_safetensors(path) if path.suffix.lower() == ".safetensors" else (read_checkpoint(path), {})
    model = placed(fitted(state, path).eval(), chosen_device(device))
    model.thresholds = recommended(card, path)
    model.origin = {"weights": str(name_or_path), "sha256": sha256(path)}
    model.copes_without_mul = bool(card.get("copes_without_mul", False))
    return model


def as_model(model: TernausNetV2 | PathLike) -> TernausNetV2:
    """Return a network: itself, or the one that ``load_model`` returns for a name or path; raises ValueError as it does."""
    return model if isinstance(model, TernausNetV2) else load_model(checked(model))


def weights_name(model: TernausNetV2 | PathLike) -> str:
    """Return what ``load_model`` takes for a network, so that others load it; raises ValueError where that is unknown."""
    if not isinstance(model, TernausNetV2):
        return str(checked(model))
    if not hasattr(model, "origin"):
        raise ValueError(
            "model was not loaded from a file, so no worker can load it. Save it: save_model, then pass the path."
        )
    return model.origin["weights"]


def checked(name: PathLike) -> PathLike:
    """Return the name or path of weights; raises ValueError for anything else."""
    if not isinstance(name, str | os.PathLike):
        raise ValueError(f'model is {type(name).__name__}; pass load_model("mini"), or the name or path of weights.')
    return name


def placed(model: TernausNetV2, device: torch.device) -> TernausNetV2:
    """Return a network on a device, its weights channels last in memory."""
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it


def recommended(card: dict[str, Any], path: Path) -> Thresholds:
    """Return the Thresholds on a weights file's card; ``path`` is for the message."""
    try:
        return Thresholds(**card.get("thresholds", {}))
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"the card in {path} names no thresholds that can be ({error}). Save it with save_model."
        ) from error


def save_model(
    model: TernausNetV2, path: PathLike, thresholds: Thresholds = Thresholds(), copes_without_mul: bool = False
) -> None:
    """Write a network's weights, its recommended Thresholds and whether it copes without MUL to a safetensors file.

    Convolution weights are stored in float16, half the size; what has one dimension (norms, biases) stays float32.
    """
    card = {"thresholds": asdict(thresholds), "copes_without_mul": copes_without_mul}
    state = {
        key: (tensor.half() if tensor.ndim > 1 else tensor).cpu().contiguous() for key, tensor in model.state_dict().items()
    }
    with replacing(expanded(path)) as part:
        save_file(state, part, metadata={"tnv2": json.dumps(card)})


def sha256(path: Path) -> str:
    """Return the SHA-256 checksum of a file as hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def weights_file(name_or_path: PathLike) -> Path:
    """Return the path of a name's or a path's weights, which exists."""
    path = place_of(name_or_path) if name_or_path in FILES else expanded(name_or_path)
    if name_or_path == "published" and not path.is_file():
        fetch_published(path)
    if path.is_file():
        return path
    names = ", ".join(repr(name) for name in FILES)
    raise FileNotFoundError(f"there are no weights at {path}. Pass {names}, or the path of a .safetensors or .pt file.")


def place_of(name: str) -> Path:
    """Return the path that the weights of a name have, there or not: in the box, or in the cache of an installed kit."""
    folder = box("weights")
    return (cache_folder() if name == "published" and PACKAGE in folder.parents else folder) / FILES[name]


def fetch_published(path: Path) -> None:
    """Download the published checkpoint to ``path``, which it becomes only after it was read as a whole network.

    Raises FileNotFoundError, which says what to put where, if that cannot be done.
    """
    try:
        with arriving(path) as part:
            fetch_from_drive(PUBLISHED_AT, part)
            verify(part, lambda part: fitted(read_checkpoint(part), part))
    except Exception as error:  # gdown raises whatever a page of Google Drive leads to
        install = " pip install gdown adds the download." if isinstance(error, ImportError) else ""
        raise FileNotFoundError(
            f"the published weights are not at {path}, and could not be downloaded ({brief(error)}).{install} Download "
            f"{path.name} (269 MB) from {PUBLISHED_AT} with a browser and put it there, or use "
            'load_model("mini"), which is in the box.'
        ) from error


def fetch_from_drive(link: str, path: Path) -> None:
    """Write the file behind a Google Drive link to ``path``, with a progress bar; raises ConnectionError if it cannot."""
    import gdown  # optional
    from gdown.exceptions import DownloadError

    from ..progress import Progress

    with Progress(desc=FILES["published"], unit="B", unit_scale=True, leave=False) as bar:

        def show(came: int, total: int | None) -> None:
            bar.total = total
            bar.update(came - bar.n)

        try:  # use_cookies would keep them in the user's home
            gdown.download(link, str(path), quiet=True, use_cookies=False, progress=show, timeout=TIMEOUT, retries=RETRIES)
        except DownloadError as error:
            told = re.split(r"\n?The received bytes are kept|; the partial file is preserved", str(error))[0]  # they are not
            raise ConnectionError(told) from error


def read_safetensors(path: Path) -> tuple[State, dict[str, Any]]:
    """Return the tensors of a safetensors file and what its metadata says of the model."""
    try:
        with safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {}).get("tnv2", "{}"))
            if not isinstance(card, dict):
                raise ValueError(f"its card is {card!r}, not a table")
            return {key: file.get_tensor(key) for key in file.keys()}, card  # noqa: SIM118, safe_open is no dict
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path} is not a whole safetensors file of this kit ({str(error)[:200]}). Fetch it again."
        ) from error


def read_checkpoint(path: Path) -> State:
    """Return the tensors of a published checkpoint under the network's own keys."""
    try:
        check_unpacked(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that are refused below
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than tensors, or is no checkpoint at all; only tensors are loaded, because a pickle can run "
            "code. Save the model's state_dict() alone with torch.save, or as safetensors."
        ) from error
    except Exception as error:  # torch raises whatever the damage leads to
        raise ValueError(
            f"{path} is damaged or cut short ({type(error).__name__}: {str(error)[:200]}). Fetch it again."
        ) from error
    for wrapper in ("model", "state_dict"):
        if isinstance(checkpoint, dict) and isinstance(checkpoint.get(wrapper), dict):
            checkpoint = checkpoint[wrapper]
    if not isinstance(checkpoint, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) and value.layout is torch.strided and value.is_cpu
        for key, value in checkpoint.items()
    ):
        raise ValueError(
            f'{path} is not a state dict; it must hold {{"model": {{key: tensor}}}} or {{key: tensor}}. '
            "Save model.state_dict()."
        )
    return {own_key(key): tensor for key, tensor in checkpoint.items()}


def check_unpacked(path: Path) -> None:
    """Raise ValueError where a checkpoint that is a zip file unpacks to more than its own size; torch.save packs nothing."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            size = sum(entry.file_size for entry in file.infolist())
        if size > path.stat().st_size:
            raise ValueError(f"it is a compressed zip file that unpacks to {size >> 20} MB")


def own_key(key: str) -> str:
    """Return a published checkpoint's key as the network spells it.

    >>> own_key("module.conv2.block1.bn1.bn.weight")
    'conv2.block1.bn1.weight'
    """
    return re.sub(r"\b(bn\d)\.bn\.", r"\1.", key.removeprefix("module."))


def fitted(state: State, path: Path) -> TernausNetV2:
    """Return a TernausNetV2 of the sizes that ``state`` has, loaded with it, which came from the file ``path``."""
    with torch.device("meta"):  # takes no memory, whatever the sizes
        try:
            width, num_input_channels = state["conv1.conv1.weight"].shape[:2]
            model = TernausNetV2(
                num_classes=state["final.weight"].shape[0],
                num_filters=state["dec1.conv.weight"].shape[0],
                is_deconv="dec5.block.1.weight" in state,
                num_input_channels=num_input_channels,
                width=width,
                groups=width // state["conv2.block1.convs.conv1.weight"].shape[1],
            )
        except (KeyError, ValueError, IndexError, RuntimeError, ZeroDivisionError):
            model = TernausNetV2()
    own = model.state_dict()
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in own]
    misfit = [key for key in own if key in state and state[key].shape != own[key].shape]
    if missing or unexpected or misfit:
        told = [f"{what}: {listed(keys)}" for what, keys in
                (("missing", missing), ("unexpected", unexpected), ("of another shape", misfit)) if keys]  # fmt: skip
        raise ValueError(f"{path} does not hold a TernausNetV2. {'; '.join(told)}. Pass weights of this network.")
    values, size = sum(tensor.numel() for tensor in own.values()), path.stat().st_size
    if values > size:  # tensors may repeat one value
        raise ValueError(f"{path} has {size} bytes and claims {values} weights. Save the model's state_dict() anew.")
    broken = [key for key in own if key in state and not torch.isfinite(state[key]).all()]
    if broken:
        raise ValueError(f"{path} has values that are not finite in {listed(broken)}. Train or fetch it again.")
    whole = {key: torch.tensor(0) for key in own if key not in state}  # num_batches_tracked, which old files lack
    for key, tensor in state.items():  # copied one by one: to_empty would load sympy first, 0.35 s and 35 MB
        whole[key] = tensor.to(own[key].dtype, copy=True, memory_format=torch.contiguous_format)
    model.load_state_dict(whole, assign=True)
    return model


def listed(keys: Sequence[str]) -> str:
    """Return the first keys and how many more there are."""
    return ", ".join(key[:80] for key in keys[:6]) + (f" and {len(keys) - 6} more" if len(keys) > 6 else "")


def chosen_device(device: str | torch.device) -> torch.device:
    """Return the torch.device of a name, "auto" for a GPU where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f'device is {device!r}; it must be "auto", "cpu", "cuda" or "cuda:1".') from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            'device is "cuda", but this torch sees no GPU. Install the CUDA build of torch (README, "With a GPU"), or pass '
            '"auto".'
        )
    return device
