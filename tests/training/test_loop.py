"""Training: targets where they belong, a loss that falls, the same network for the same seed."""

import csv
import importlib
import subprocess
import sys
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from lab import wait_for

from tnv2 import Thresholds, load_model, render_scene
from tnv2.files import box
from tnv2.network.ternausnet import TernausNetV2
from tnv2.training import Example, Picture, Source, example
from tnv2.training.choosing import scores
from tnv2.training.colours import recoloured
from tnv2.training.crops import Crops, groups_with_room
from tnv2.training.examples import guessed_mul, layout_tiles, mul_guess, picture_tiles
from tnv2.training.journal import Journal, plot_log
from tnv2.training.loop import crops_of, train, warmth
from tnv2.training.settings import Settings
from tnv2.training.targets import border_target, segmentation_loss

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = Settings(width=2, num_filters=1, steps=12, batch=2, crop=64, scenes=1)


@pytest.mark.parametrize("gap", range(13))
def test_border_lies_where_two_instances_are_near(gap):
    labels = np.zeros((30, 60), np.int32)
    labels[5:25, 5:20], labels[5:25, 20 + gap : 35 + gap] = 1, 2
    border = border_target(labels, reach=4)
    middle = (19.5 + 19.5 + gap) / 2
    if gap > 8:
        assert not border.any()
    else:
        columns = np.flatnonzero(border[15])
        assert columns.mean() == pytest.approx(middle, abs=0.5)
        assert 3 <= len(columns) <= 4
        assert border[:, : columns.min()].sum() + border[:, columns.max() + 1 :].sum() == 0


def test_touching_instances_have_a_border_and_lone_ones_none():
    labels = np.zeros((20, 30), np.int32)
    labels[5:15, 5:15], labels[5:15, 15:25] = 7, 3
    assert border_target(labels)[5:15, 14:16].all()
    assert not border_target(np.where(labels == 7, 7, 0)).any()
    assert not border_target(np.zeros((20, 30), np.int32)).any()


def test_loss_falls_as_logits_get_right():
    targets = (torch.rand(2, 2, 32, 32, generator=torch.Generator().manual_seed(0)) > 0.7).float()
    known = torch.ones_like(targets)
    losses = [segmentation_loss(strength * (2 * targets - 1), targets, known).item() for strength in (-5, 0, 1, 5, 20)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.01


def test_pixels_that_are_not_known_do_not_count():
    logits, targets = torch.randn(2, 2, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    known = torch.ones_like(logits)
    known[:, 1, :4] = 0
    other = torch.where(known > 0, logits, -logits)
    targets = (targets > 0).float()
    torch.testing.assert_close(segmentation_loss(logits, targets, known), segmentation_loss(other, targets, known))


def test_a_batch_without_any_known_border_teaches_buildings_alone():
    logits = torch.zeros(1, 2, 8, 8, requires_grad=True)
    known = torch.ones(1, 2, 8, 8)
    known[:, 1] = 0
    segmentation_loss(logits, torch.ones(1, 2, 8, 8), known).backward()
    assert logits.grad[:, 0].all()
    assert not logits.grad[:, 1].any()


def test_smoothed_targets_leave_logits_small():
    known = torch.ones(1, 2, 4, 4)
    logits = torch.full((1, 2, 4, 4), 3.0, requires_grad=True)
    for _ in range(400):
        loss = segmentation_loss(logits, known, known, jaccard=0, smoothing=0.05)
        logits = (logits - 50 * torch.autograd.grad(loss, logits)[0]).detach().requires_grad_()
    torch.testing.assert_close(torch.sigmoid(logits), torch.full_like(logits, 0.975), atol=1e-4, rtol=0)


def test_crops_keep_picture_and_target_together():
    """Painted on the picture, the truth must come out where the target is, whatever the crop's turn and scale."""
    tile = render_scene(3, 400, "suburb").tile
    rgb = np.repeat(np.where(tile.truth > 0, 2000, 100).astype(np.uint16)[..., None], 3, axis=2)
    crops = Crops([Source("one", [example(tile.replace(rgb=rgb, mul=None), merged=True)])], Settings(batch=6, crop=96))
    x, targets, known = crops.batch(0)
    assert known[:, 0].all()
    assert not known[:, 1].any(), "what touches may be merged"
    assert x.shape == (6, 11, 96, 96)
    assert targets.shape == (6, 2, 96, 96)
    assert not x[:, 3:].any()
    for image, target in zip(x[:, 0], targets[:, 0], strict=True):
        if 0.05 < target.mean() < 0.95:
            assert np.corrcoef(image.ravel(), target.ravel())[0, 1] > 0.8


def test_pasted_groups_are_whole_and_leave_buildings_alone():
    rng = np.random.default_rng(0)
    mine, others = np.zeros((120, 160), np.float32), np.zeros((120, 160), np.float32)
    mine[20:40, 20:40] = 1
    others[30:50, 30:60] = 1  # in the way of mine
    others[80:100, 20:40] = others[80:100, 48:60] = 1  # two as near as a border reaches
    others[20:40, 120:140] = 1
    seen = set()
    for _ in range(40):
        region = groups_with_room(mine, others, rng)
        assert not (region & (mine > 0)).any()
        assert not (region & (cv2.dilate(mine, np.ones((9, 9))) > 0)).any(), "nor comes so near that a border is due"
        pasted = region & (others > 0)
        assert region[80:100, 20:60].all() or not region[75:105, 15:65].any()
        seen.add(int(pasted.sum()))
    assert seen == {0, 400, 640, 1040}


def test_pasting_gives_crops_more_buildings():
    tile = render_scene(3, 400, "suburb").tile
    settings = Settings(batch=30, crop=64, variety=0)
    plain, pasted = (
        Crops([Source("one", [example(tile, False)])], replace(settings, pasted=often)).batch(0)[1][:, 0].mean()
        for often in (0.0, 1.0)
    )
    assert pasted > plain


def test_crops_take_on_the_look_of_other_pictures():
    """A dark picture of roofs and a bright one of ground: roofs come out bright now and then, and the other way round."""
    noise = np.random.default_rng(1).normal(0, 0.02, (2, 3, 64, 64))
    pictures = {0.3: np.full((64, 64), 1), 0.7: np.zeros((64, 64), int)}
    sources = []
    for (grey, truth), rough in zip(pictures.items(), noise, strict=True):
        targets = torch.from_numpy(np.stack([truth, 0 * truth, 0 * truth]).astype(np.uint8) * 255)
        sources.append(Source(str(grey), [Example(torch.from_numpy(grey + rough).half(), targets)]))

    def seen(variety, count):
        crops, rng = Crops(sources, Settings(crop=32, variety=variety)), np.random.default_rng(2)
        drawn = (crops.crop(rng) for _ in range(count))
        return [(round(float(image[:3].mean()), 1), bool(targets[0].mean() > 0.5)) for image, targets in drawn]

    crossed = [pair for pair in seen(1, 400) if pair in {(0.7, True), (0.3, False)}]
    assert len(set(crossed)) == 2
    assert 60 < len(crossed) < 100, "four in ten take a look, half of them their own"
    assert set(seen(0, 50)) == {(0.3, True), (0.7, False)}


def test_black_points_move_a_channel_at_a_time():
    """As one dark pixel moves those of a real tile: by up to a fifth of the scale, in some channels alone."""
    black = recoloured(torch.zeros(300, 11, 8, 8), np.random.default_rng(0), 1.0)[:, :3].mean(dim=(2, 3))
    apart = black.max(dim=1).values - black.min(dim=1).values
    assert 0.3 < (apart > 0.06).float().mean() < 0.7
    assert apart.max() < 0.6


def test_mul_is_dropped_as_often_as_said():
    tile = render_scene(3, 200, "suburb").tile
    crops = Crops([Source("one", [example(tile, merged=False)])], Settings(batch=100, crop=32, without_mul=0.5))
    x, _, _ = crops.batch(0)
    assert 30 < x[:, 3:].flatten(1).any(dim=1).sum() < 70


def test_training_is_repeatable_and_moves_the_weights():
    first, again = (train(TINY, device="cpu") for _ in range(2))
    for key, value in first.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], value, rtol=1e-4, atol=1e-5)
    assert not first.training
    assert first.copes_without_mul


def test_a_share_of_the_starting_weights_is_kept():
    start = TernausNetV2(width=2, num_filters=1).eval()
    before = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    trained = train(TINY, start=start, device="cpu").state_dict()
    mixed = train(replace(TINY, kept=0.25), start=start, device="cpu").state_dict()
    for name, tensor in before.items():
        assert tensor.equal(start.state_dict()[name])
        if tensor.is_floating_point():
            torch.testing.assert_close(mixed[name], 0.25 * tensor + 0.75 * trained[name])
    with pytest.raises(ValueError, match="Pass start"):
        train(replace(TINY, kept=0.25), device="cpu")


def test_batches_are_the_same_for_the_same_number():
    crops = crops_of(TINY, [], [])
    for first, again in zip(crops.batch(3), crops.batch(3), strict=True):
        torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert (crops.batch(3)[0] != crops.batch(4)[0]).any()


def test_labelled_tiles_and_pictures_are_trained_on_as_often_as_said():
    """Sources painted in grey of their own, far enough apart for any change of contrast to keep their order."""
    tile = render_scene(3, 128, "blocks").tile.replace(mul=None)
    settings = replace(TINY, batch=400, crop=32, real=0.75, variety=0)

    def grey(level):
        rgb = np.full_like(tile.rgb, level)
        rgb[0, 0], rgb[0, 1] = 0, 1000
        return tile.replace(rgb=rgb)

    other = Source("other", [example(grey(1000), merged=True)], weight=3)
    x, _, known = crops_of(settings, [grey(0)], [], [other]).batch(0)
    scenes = x[:, 0].flatten(1).std(dim=1) > 0.1
    dark = ~scenes & (x[:, 0].mean(dim=(1, 2)) < 0)
    assert scenes.float().mean() == pytest.approx(0.25, abs=0.08)
    assert dark.float().mean() == pytest.approx(0.75 / 4, abs=0.08)
    assert known[dark, 1].all()
    assert not known[~dark & ~scenes, 1].any()


def test_mul_is_guessed_from_rgb():
    scenes = [render_scene(seed, 200).tile for seed in range(4)]
    image = example(scenes[0], merged=False).image.float()
    guess = guessed_mul(mul_guess(scenes), image[:3])
    for band in (1, 2, 3, 4):  # those that RGB sees
        assert np.corrcoef(guess[band].ravel(), image[3 + band].ravel())[0, 1] > 0.9
    x, _, _ = crops_of(replace(TINY, real=1, without_mul=0), [], [scenes[0].replace(mul=None)]).batch(0)
    assert x[:, 3:].flatten(1).any(dim=1).all(), "a picture's MUL is guessed"


def test_a_killed_training_goes_on_where_it_was(tmp_path):
    """Killed without a chance to tidy up, and started again, it ends at the weights of one that ran through."""
    often = "from tnv2.training import __main__, loop; loop.KEPT = 5, 180; __main__.main()"
    command = [sys.executable, "-c", often, "--out", str(tmp_path / "net.safetensors")]
    command += ["--width", "2", "--num-filters", "1", "--batch", "2", "--crop", "32", "--scenes", "1", "--steps", "40"]
    checkpoint = tmp_path / "net.checkpoint"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as first:
        wait_for(checkpoint.exists, 120)
        first.kill()
    assert torch.load(checkpoint, weights_only=True)["step"] in range(5, 40, 5)
    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert not checkpoint.exists()
    command[command.index("--out") + 1] = str(tmp_path / "through.safetensors")
    subprocess.run(command, capture_output=True, check=True, timeout=300)
    resumed, through = (load_model(tmp_path / f"{name}.safetensors", device="cpu") for name in ("net", "through"))
    for key, value in through.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[key], value, rtol=2e-3, atol=2e-3)  # stored in float16


def test_a_checkpoint_of_another_training_is_refused_and_kept(tmp_path):
    checkpoint = tmp_path / "net.checkpoint"
    train(TINY, device="cpu", checkpoint=checkpoint)
    written = checkpoint.read_bytes()
    with pytest.raises(ValueError, match="written with other settings"):
        train(replace(TINY, rate=1e-3), device="cpu", checkpoint=checkpoint)
    assert checkpoint.read_bytes() == written


def test_the_real_package_trains_the_same_network(inplace_abn):
    """What In-Place ABN learnt, the kit's own ABN predicts with."""
    model = train(TINY, norm_act=inplace_abn.InPlaceABN, device="cpu")
    ours = TernausNetV2(width=2, num_filters=1)
    start = {key: value.clone() for key, value in ours.state_dict().items()}
    ours.load_state_dict(model.state_dict())
    assert any((value != start[key]).any() for key, value in model.state_dict().items() if value.ndim == 4)
    x = torch.rand(1, 11, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(model(x), ours.eval()(x), rtol=1e-4, atol=1e-4)


def test_training_learns():
    settings = Settings(width=4, num_filters=2, steps=60, batch=4, crop=64, scenes=1, average=0.5)
    batch = crops_of(settings, [], []).batch(1000)
    before, after = train(replace(settings, steps=1), device="cpu"), train(settings, device="cpu")
    with torch.inference_mode():
        losses = [segmentation_loss(model(batch[0]), *batch[1:]).item() for model in (before, after)]
    assert losses[1] < 0.9 * losses[0]


def test_real_pictures_become_tiles(shared):
    tiles = picture_tiles(shared / "data" / "png_8bit")
    assert len(tiles) == 18
    assert [tile.shape for tile in tiles if tile.shape != (650, 650)] == [(480, 650)]  # the labelled part of one
    assert sum(tile.truth.max() for tile in tiles) > 400
    assert tiles[0].name == "AOI_2_Vegas_img1990"


def test_folders_without_pictures_and_settings_without_sense_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no NAME_mask\.png"):
        picture_tiles(tmp_path)
    cv2.imwrite(str(tmp_path / "a_mask.png"), np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(ValueError, match=r"a\.png is missing"):
        picture_tiles(tmp_path)
    for wrong in ({"steps": 0}, {"crop": 33}, {"without_mul": 7}, {"rate": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}={next(iter(wrong.values()))}"):
            Settings(**wrong)
    with pytest.raises(ValueError, match="nothing to train on"):
        train(Settings(scenes=0))


def test_layouts_become_tiles_with_buildings_there(tmp_path):
    mask = np.zeros((64, 96), np.uint8)
    mask[10:40, 20:70] = 255
    for name in "abc":
        cv2.imwrite(str(tmp_path / f"{name}.png"), mask)
    tiles = layout_tiles(tmp_path, 2)
    assert len(tiles) == 2
    assert (tiles[0].rgb != tiles[1].rgb).any()
    for tile in tiles:
        np.testing.assert_array_equal(tile.truth > 0, mask > 0)
        assert tile.mul is not None
    with pytest.raises(FileNotFoundError, match=r"holds no \.png masks"):
        layout_tiles(tmp_path / "none", 2)


def test_training_by_the_clock_ends_by_the_clock():
    seen, begun = [], time.monotonic()
    train(replace(TINY, minutes=0.05, crop=32), device="cpu", on_progress=lambda step, model: seen.append(step), every=1)
    assert 3 < time.monotonic() - begun < 60
    assert seen == list(range(1, len(seen) + 1)), "called once a step, at the last one too"


def test_the_rate_goes_up_in_a_line_and_down_by_a_cosine():
    assert warmth(0.05) == 1
    assert warmth(0.025) == pytest.approx(0.5)
    assert warmth(0.525) == pytest.approx(0.505)
    assert warmth(1) == pytest.approx(0.01)


def test_a_log_goes_on_where_a_training_does(tmp_path):
    log = tmp_path / "log.csv"
    first = Journal(log, 0)
    for step in range(1, 201):
        first.note(step, step / 10, 0.001, 2.0)
    again = Journal(log, 120)
    for step in range(121, 201):
        again.note(step, step / 10, 0.001, 1.0)
    with log.open(newline="") as file:
        rows = [(row["step"], float(row["loss"])) for row in csv.DictReader(file)]
    assert rows == [("50", 2), ("100", 2), ("150", 1), ("200", 1)]


def test_a_log_is_drawn(tmp_path):
    log, scored, picture = (tmp_path / name for name in ("log.csv", "scores.csv", "log.png"))
    journal = Journal(log, 0)
    for step in range(1, 501):
        journal.note(step, step / 10, 0.001, 50 / step)
    plot_log(log, scored, picture)
    without = cv2.imread(str(picture))
    scored.write_text("step,iou,f1,set A iou\n100,0.4,0.5,0.4\n500,0.6,0.7,0.6\n")
    plot_log(log, scored, picture)
    drawn = cv2.imread(str(picture))
    half = len(drawn) // 2
    assert (drawn[half:] != without[half:]).any(axis=2).sum() > 500
    assert len(np.unique(drawn[:half].reshape(-1, 3), axis=0)) > 10


def test_scores_say_what_they_count():
    """A network that sees a building in every pixel: IoU is the share that is built, and nothing is found one by one."""
    model = TernausNetV2(width=2, num_filters=1).eval()
    torch.nn.init.zeros_(model.final.weight)
    model.final.bias.data = torch.tensor([9.0, -9.0])
    model.thresholds, model.copes_without_mul = Thresholds(), True
    tile = render_scene(3, 128, "suburb").tile
    pictures = [Picture(tile, merged, "set", place, "") for merged, place in ((False, "A"), (True, "B"))]
    built = (tile.truth > 0).mean()
    assert scores(model, pictures) == pytest.approx(
        {"iou": built, "f1": 0, "set A iou": built, "set B iou": built, "set A f1": 0, "set B merged f1": 0}
    )


def test_validation_is_scored_and_nothing_is_fitted_to_it(tmp_path, monkeypatch):
    command = importlib.import_module("tnv2.training.__main__")
    fitted = []
    monkeypatch.setattr(command, "calibrated", lambda model, pictures: fitted.append(pictures) or model)
    numbers = {"width": 2, "num-filters": 1, "steps": 1, "batch": 1, "crop": 64, "scenes": 1, "every": 1}
    sizes = [text for name, number in numbers.items() for text in (f"--{name}", str(number))]
    out = tmp_path / "net.safetensors"
    monkeypatch.setattr(sys, "argv", ["train", *sizes, "--validation", str(box("sample_data")), "--out", str(out)])
    command.main()
    assert out.is_file()
    assert "validation AOI_0_Synthetic f1" in out.with_suffix(".scores.csv").read_text()
    assert fitted == []


def test_progress_is_reported():
    seen = []
    train(TINY, device="cpu", on_progress=lambda step, model: seen.append((step, model.training)))
    assert seen == [(12, False)]
    seen.clear()
    train(TINY, device="cpu", on_progress=lambda step, model: seen.append((step, model.training)), every=5)
    assert seen == [(5, False), (10, False), (12, False)]


@pytest.fixture(autouse=True)
def no_bars(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
