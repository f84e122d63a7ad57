"""Labels by d' against NumPy on all values at once, and what shuffled classes get."""

import shutil

import cv2
import numpy as np
import pytest
import torch

from find_maxes import find_max_acts
from find_maxes.labels.class_sums import ClassSums
from find_maxes.labels.exact_sums import ExactSums
from find_maxes.labels.lots import LEAST, check_classes, draw_lots
from find_maxes.labels.naming import MOST, halves, name_units
from find_maxes.labels.words import label_words
from find_maxes.photos.photo_list import ImageList
from tests.find_maxes.conftest import build_model, photo


def some_images(count=300, classes=6, seed=0):
    random = np.random.default_rng(seed)
    names = tuple(f"photo {i}.jpg" for i in range(count))
    return ImageList("x", names, random.integers(-1, classes, count))


def some_values(images, units=9, seed=1):
    """Maxima in which unit 0 is class 3's and unit 1 class 0's, beside a ReLU's zeros."""
    random = np.random.default_rng(seed)
    values = random.normal(0, 1, (len(images), units)) * np.geomspace(1e-6, 1e9, units)
    values[:, 0] += np.where(images.classes == 3, 3e-6, 0)
    values[:, 1] = (images.classes == 0) * 2.0 + random.normal(0, 0.1, len(images))
    values[:, 2] = np.maximum(values[:, 2], 0)
    values[:, 3] = 0
    return values.astype(np.float32)


def summed(values, lots, batch, order=None):
    """Sums taken in batches; in another order each image is merged by itself."""
    classes = int(lots.classes.max()) + 1
    found = ClassSums.empty(classes, values.shape[1])
    if order is None:
        for start in range(0, len(values), batch):
            rows = slice(start, start + batch)
            found.update(torch.from_numpy(values[rows]), lots.part(start, start + batch))
        return found
    for start in order:
        one = ClassSums.empty(classes, values.shape[1])
        one.update(torch.from_numpy(values[start : start + batch]), lots.part(start, start + batch))
        found = one.merged(found)
    return found


def brute_dprime(values, members, known):
    """d' of one class as the text books have it, from all values."""
    own, rest = values[members & known].astype(float), values[~members & known].astype(float)
    scale = np.sqrt((own.var(0) + rest.var(0)) / 2)
    apart = own.mean(0) - rest.mean(0)
    return np.divide(apart, scale, out=np.zeros_like(apart), where=scale > 0).clip(-MOST, MOST)


def test_dprime_is_that_of_all_values_at_once():
    images = some_images()
    lots, values = draw_lots(images), some_values(some_images())
    true, mixed = halves(summed(values, lots, 16))
    for half in (0, 1):
        known = (lots.classes >= 0) & (lots.halves == half)
        for found, classes in ((true[half], lots.classes), (mixed[half], lots.shuffled)):
            for number, row in enumerate(found.dprime):
                expected = brute_dprime(values, classes == number, known)
                np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)
                assert found.counts[number] == ((classes == number) & known).sum()


@pytest.mark.parametrize("batch", [1, 7, 300])
def test_sums_have_the_same_bytes_in_any_order(batch):
    images = some_images()
    lots, values = draw_lots(images), some_values(some_images())
    values[5, 4], values[9, 5], values[11, 6] = np.inf, -np.inf, 3e38
    expected = summed(values, lots, 16).arrays()
    order = np.random.default_rng(batch).permutation(range(0, 300, batch))
    backwards = summed(values, lots, batch, order)
    for found in (summed(values, lots, batch), backwards):
        again = ClassSums.from_arrays(found.arrays())
        for name, array in again.arrays().items():
            np.testing.assert_array_equal(array, expected[name], err_msg=name)
    assert expected["broken"].tolist() == [False] * 4 + [True, True] + [False] * 3


def test_exact_sums_lose_nothing_that_float32_has():
    random = np.random.default_rng(4)
    values = random.normal(0, 1, (1000, 3)).astype(np.float32).astype(np.float64)
    values[500:] *= 2.0**30  # a second pair of slices begins here
    sums = ExactSums.empty(1, 3)
    sums.add(torch.from_numpy(values), torch.zeros(1000, dtype=torch.int64))
    largest = np.abs(values).max()
    off = np.abs(sums.totals().numpy()[0] - values.sum(0)).max()
    assert off < 1000 * largest * 2.0**-24


def test_planted_units_get_their_class_and_noise_none():
    images = some_images(600, seed=2)
    lots, values = draw_lots(images), some_values(some_images(600, seed=2))
    top = np.argsort(-values, axis=0, kind="stable")[:100].T
    labels = name_units(summed(values, lots, 16), lots.classes[top])
    assert labels.classes[:2].tolist() == [3, 0] and labels.classes[3] == -1
    assert labels.dprime[0] == pytest.approx(3, abs=0.6) and labels.dprime[1] > 15
    assert labels.share[1] == (lots.classes[top[1]] == 0).mean() > 0.6
    assert np.isnan(labels.dprime[labels.classes < 0]).all()


def test_labels_are_measured_on_photos_that_did_not_choose_them():
    images = some_images(400, classes=20, seed=5)
    lots = draw_lots(images)
    values = np.zeros((400, 1), np.float32)
    values[(lots.classes == 7) & (lots.halves == 0)] = 1  # luck of the first half
    values += np.random.default_rng(6).normal(0, 0.1, values.shape).astype(np.float32)
    assert name_units(summed(values, lots, 16), np.full((1, 9), 7)).classes.tolist() == [-1]
    values[(lots.classes == 7) & (lots.halves == 1)] += 1
    assert name_units(summed(values, lots, 16), np.full((1, 9), 7)).classes.tolist() == [7]


def test_random_units_get_labels_no_more_often_than_chance():
    images = some_images(2000, classes=40, seed=7)
    lots = draw_lots(images)
    random = np.random.default_rng(8)
    values = np.maximum(random.standard_t(3, (2000, 500)), 0).astype(np.float32)
    labels = name_units(summed(values, lots, 100), np.zeros((500, 9), np.int64))
    assert (labels.classes >= 0).mean() <= 0.05 and labels.shuffled <= 0.05


def test_a_class_of_few_photos_is_no_label():
    classes = np.where(np.arange(300) < 2 * LEAST - 1, 0, 1 + np.arange(300) % 2)
    images = ImageList("x", tuple(f"{i}.jpg" for i in range(300)), classes)
    lots = draw_lots(images)
    values = np.random.default_rng(12).normal(0, 0.1, (300, 2)).astype(np.float32)
    values[:, 0] += classes == 0
    values[:, 1] += classes == 1
    found = name_units(summed(values, lots, 16), np.zeros((2, 9), np.int64))
    assert found.classes.tolist() == [-1, 1]


def test_the_draw_is_by_names_alone():
    images = some_images(900)
    lots, order = draw_lots(images), np.random.default_rng(9).permutation(900)
    other = ImageList("y", tuple(images.names[i] for i in order), images.classes[order])
    again = draw_lots(other)
    for name in ("classes", "halves", "sampled"):
        np.testing.assert_array_equal(getattr(again, name), getattr(lots, name)[order])
    assert lots.sampled.sum() == 500
    for number in range(-1, 6):
        assert abs((2 * lots.halves[lots.classes == number] - 1).sum()) <= 1
    counts = np.bincount(lots.classes[lots.classes >= 0])
    assert sorted(np.bincount(lots.shuffled[lots.shuffled >= 0])) == sorted(counts)


# ---------------------------------------------------------------- the command

COLOURS = {"red": (30, 30, 220), "green": (30, 200, 30), "blue": (220, 60, 30)}
NET = """
name: "colours"
input: "data"
input_shape { dim: 1 dim: 3 dim: 24 dim: 24 }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 5 stride: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
"""


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """Folders of photos with a coloured patch, and a net with a unit for each colour."""
    import torchcaffe as caffe

    folder = tmp_path_factory.mktemp("coloured")
    model = build_model(folder, NET)
    net = caffe.Net(str(model.prototxt), str(model.weights), caffe.TEST)
    weights = net.params["conv"][0].data
    weights[:3] = -1 / 50
    for unit in range(3):
        weights[unit, 2 - unit] = 2 / 50  # inputs are BGR
    net.params["conv"][1].data[...] = 0
    net.save(str(model.weights))
    shutil.rmtree(model.photos)
    random = np.random.default_rng(10)
    for name, colour in COLOURS.items():
        (model.photos / name).mkdir(parents=True)
        for i in range(16):
            picture = photo(int(random.integers(1 << 30)), 40, 40)
            picture = np.uint8(90 + 0.3 * picture)
            y, x = random.integers(4, 20, 2)
            cv2.rectangle(picture, (int(x), int(y)), (int(x) + 14, int(y) + 14), colour, -1)
            assert cv2.imwrite(str(model.photos / name / f"{i}.png"), picture)
    model.list = "-"
    return model


def labels_of(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in lines[1:]]
    return [row[2] for row in rows if row[0] == "conv"]


def test_the_command_finds_units_that_are_templates_of_classes(coloured, tmp_path, capsys):
    out = tmp_path / "max.npz"
    options = ["--workers", "0", "--labels", "--quantiles"]
    assert find_max_acts.main(coloured.arguments(out, *options)) == 0
    assert labels_of(tmp_path / "max_statistics/labels.csv")[:3] == ["red", "green", "blue"]
    assert "units have a label" in capsys.readouterr().out
    with np.load(out, allow_pickle=False) as file:
        names = file["label_names"].tolist()
        assert [names[i] for i in file["conv/label"][:3]] == ["red", "green", "blue"]
        # the three are the classes' own: nearly all of their best photos
        assert (file["conv/label_share"][:3] > 0.33).all()
        assert (file["conv/label_dprime"][:3] > 2).all()
        assert file["conv/max_vals"].shape == (4, 9)


def test_shuffled_folders_give_no_labels(coloured, tmp_path):
    """The same photos, handed out to the folders at random."""
    photos = sorted(coloured.photos.rglob("*.png"))
    names = np.random.default_rng(11).permutation([path.parent.name for path in photos])
    for i, (path, name) in enumerate(zip(photos, names, strict=True)):
        (tmp_path / "mixed" / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "mixed" / name / f"{i}.png")
    paths = [coloured.prototxt, coloured.weights, tmp_path / "mixed", "-", tmp_path / "max.npz"]
    assert find_max_acts.main(["--workers", "0", "--labels", *map(str, paths)]) == 0
    assert labels_of(tmp_path / "max_statistics/labels.csv") == ["", "", "", ""]


def test_labels_need_classes(own_tiny, tmp_path, capsys):
    own_tiny.list.write_text("\n".join(f"{name}\t" for name in own_tiny.names), encoding="utf-8")
    assert find_max_acts.main(own_tiny.arguments(tmp_path / "max.npz", "--labels")) == 2
    assert "--labels tells classes apart, and the images" in capsys.readouterr().err


def test_that_classes_are_too_small_is_told(images_of_eight):
    with pytest.warns(UserWarning, match="takes classes of at least 10 images, and the largest of"):
        assert check_classes(images_of_eight) == 5


@pytest.fixture
def images_of_eight():
    return ImageList("x", tuple(f"{i}.jpg" for i in range(40)), np.arange(40) % 5)


def test_words_for_imagenets_folders_and_numbers(tmp_path):
    words = tmp_path / "synset_words.txt"
    words.write_text("n01440764 tench, Tinca tinca\n\nn01443537 goldfish\n", encoding="utf-8")
    assert label_words(["n01443537", "n00000001"], str(words)) == ("goldfish", "n00000001")
    assert label_words(["0", "1", "7"], str(words)) == ("tench, Tinca tinca", "goldfish", "7")
    assert label_words(["cat", "dog"], "nowhere.txt") == ("cat", "dog")
