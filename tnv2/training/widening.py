"""Widening: a network with more channels that says what one said, or two, to go on learning from or to use as it is."""

import torch

from ..network import ABN, NormAct, TernausNetV2

BELOW = {"dec5": 8, "dec4": 8, "dec3": 8, "dec2": 2, "dec1": 1}  # times num_filters: what a block reads from the one below


def widened(model: TernausNetV2, width: int, num_filters: int, norm_act: NormAct = ABN, noise: float = 0.02) -> TernausNetV2:
    """Return a TernausNetV2 of other sizes, multiples of the model's own, that computes nearly the same as it.

    Every channel becomes several, and what reads them shares its weights among these: Net2Net (Chen, Goodfellow and Shlens,
    ICLR 2016). Where sizes change, weights are changed by ``noise`` of themselves, so that copies part in training.

    Raises ValueError for sizes that are no multiples, for a network that upsamples by deconvolution, and for other sizes of
    one with groups.
    """
    old = model.settings
    sizes = {"width": width, "num_filters": num_filters}
    in_groups = old["groups"] > 1 and any(new != old[name] for name, new in sizes.items())
    if old["is_deconv"] or in_groups or any(new % old[name] for name, new in sizes.items()):
        raise ValueError(
            f"a network of {old} cannot become one of {sizes}; these must be multiples of its own, the same where groups "
            "are more than 1, and is_deconv False. Set other sizes, or start from random weights."
        )
    wide = TernausNetV2(**old | sizes, norm_act=norm_act)
    state = model.state_dict()
    chance = torch.Generator().manual_seed(0)
    for name, tensor in wide.state_dict().items():
        narrow = state[name].cpu()
        same = narrow.shape == tensor.shape
        if narrow.ndim > 1 and not same:
            parts = read_by(name, narrow.shape[1], old, width // old["width"], num_filters // old["num_filters"])
            split = zip(narrow.split([count for count, _ in parts], dim=1), parts, strict=True)
            narrow = torch.cat([part.repeat(1, times, 1, 1) / times for part, (_, times) in split], dim=1)
        if narrow.ndim:
            narrow = narrow.repeat(len(tensor) // len(narrow), *(1,) * (narrow.ndim - 1))
        if narrow.ndim > 1 and not same:
            narrow = narrow * (1 + noise * torch.randn(narrow.shape, generator=chance))
        tensor.copy_(narrow)
    return wide


def joined(first: TernausNetV2, second: TernausNetV2) -> TernausNetV2:
    """Return a TernausNetV2 of two as its groups; its logits are the mean of theirs, the second's of the mirrored tile.

    Two networks, and two looks at the tile, whose mistakes differ (Krizhevsky, Sutskever and Hinton, "ImageNet
    Classification with Deep Convolutional Neural Networks", NIPS 2012, average over both). What the second says is
    mirrored back.

    Raises ValueError for networks of different sizes, and for one that upsamples by deconvolution or has groups.
    """
    sizes = first.settings
    if sizes != second.settings or sizes["is_deconv"] or sizes["groups"] > 1:
        raise ValueError(
            f"networks of {sizes} and {second.settings} cannot be joined; these must be the same, is_deconv False and "
            "groups 1. Pass two that were trained with the same sizes."
        )
    twice = {name: 2 * sizes[name] for name in ("width", "num_filters", "groups")}
    both = TernausNetV2(**sizes | twice).eval()
    others = second.state_dict()
    for name, tensor in both.state_dict().items():
        one, other = first.state_dict()[name].cpu(), others[name].cpu()
        if one.ndim > 1:
            other = other.flip(3)
        if name == "final.bias":
            tensor.copy_((one + other) / 2)
        elif name == "final.weight":
            tensor.copy_(torch.cat([one, other], dim=1) / 2)
        else:
            tensor.copy_(torch.cat([one, other]) if one.ndim else one)
    return both


def read_by(name: str, channels: int, old: dict[str, int], wider: int, more: int) -> list[tuple[int, int]]:
    """Return (channels, how many each becomes) of the parts that the convolution with this key reads, one after another."""
    block, first = name.split(".")[0], ".block.2." not in name
    if block == "conv1":
        return [(channels, 1)]
    if block in BELOW and first:
        below = BELOW[block] * old["num_filters"]
        return [(below, more), (channels - below, wider)]
    return [(channels, wider if block.startswith("conv") or (block == "center" and first) else more)]
