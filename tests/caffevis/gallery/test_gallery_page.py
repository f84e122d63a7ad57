"""The gallery's page in a real browser, from file://: keys, addresses, search, what is loaded."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffevis.gallery.collect import Collection, collect
from caffevis.gallery.site import Words, write
from caffevis.keys.state import Layer
from caffevis.units.image_paths import UnitFolder
from tests.browser import Browser, find_chromium
from tests.pictures import colour_of, write_sheet, write_unit

HOSTILE = "</b><img src=x onerror=\"document.title='hacked'\">"
LABELS = ("Cat", "wild_dog", "dog", "hot dog", "Café", HOSTILE)
CONV, FC = 40, len(LABELS)


def collection(root: Path) -> Collection:
    for unit in range(CONV):
        write_unit(root, "conv1", unit)
    write_sheet(root, "conv1", CONV)
    for unit in range(3):
        write_unit(root, "fc8", unit)
    (root / "max_im" / "fc8" / "fc8_0001.jpg").unlink()
    write_unit(root, "1x1", 2)
    for kind in ("regularized_opt", "max_im", "max_deconv"):
        (root / kind / "mixed").mkdir()
        (root / kind / "1x1").rename(root / kind / "mixed" / "1x1")
    names = (("conv1", CONV), ("pool1", CONV), ("mixed/1x1", 5), ("fc8", FC))
    layers = [Layer(name, name.replace("mixed/", "m:"), units, 1, units) for name, units in names]
    folder = UnitFolder(str(root), remap={"pool1": "conv1"})
    return collect(folder, layers, LABELS, ("fc8",))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    found = collection(folder / "units")
    write(found, Words("Tiny <i>net</i>"), folder / "site")
    return folder


@pytest.fixture(scope="module")
def address(made) -> str:
    return (made / "site" / "index.html").as_uri()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium (Debian's package chromium)")
    browser = Browser(program, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def page(chromium, address):
    chromium.look()
    chromium.open(address)
    yield chromium
    assert chromium.errors == []


def text(page: Browser, selector: str) -> str:
    return page.value(f"document.querySelector({json.dumps(selector)}).textContent")


def shown(page: Browser) -> tuple[str, str]:
    """Return where the page says that it is: the list's current layer, and the unit's heading."""
    return text(page, "#layers [aria-current]"), text(page, "#unit-title")


def columns(page: Browser) -> int:
    return page.value(
        "getComputedStyle(document.querySelector('#tiles')).gridTemplateColumns.split(' ').length"
    )


def in_units(page: Browser) -> bool:
    return page.value("document.querySelector('#layers .cursor') === null")


def images(page: Browser) -> list[str | None]:
    return page.value(
        "[...document.querySelectorAll('#pictures figure')].map((figure) =>"
        " figure.querySelector('a').hidden ? null : figure.querySelector('img').src)"
    )


def find(page: Browser, query: str) -> list[str]:
    """Search, and return each result's title and name."""
    page.press("f")
    page.write(query)
    return page.value(
        "[...document.querySelectorAll('#results a')].map((link) =>"
        " [link.querySelector('strong'), link.lastChild].map((part) => part.textContent)"
        ".filter(Boolean).join(' / '))"
    )


# ---- keys ----


def test_the_cursor_begins_in_the_list_of_layers(page):
    assert shown(page) == ("conv1", "conv1 0") and not in_units(page)
    page.press("right", "l")
    assert shown(page) == ("fc8", "Cat")
    page.press("j", "left", "left")
    assert shown(page) == ("conv1", "conv1 0")


def test_keys_move_among_units_as_in_the_live_app(page):
    wide = columns(page)
    assert 3 < wide < CONV / 2
    page.press("down")
    assert in_units(page)
    page.press("right", "l", "L")
    assert shown(page)[1] == "conv1 5"
    page.press("j", ",")
    assert shown(page)[1] == "conv1 1"
    page.press("k")
    assert shown(page)[1] == f"conv1 {1 + wide}"
    page.press("i")
    assert shown(page)[1] == "conv1 1" and in_units(page)
    page.press("up")
    assert shown(page)[1] == "conv1 1" and not in_units(page)
    page.press("down", "/", "K", "K")
    assert shown(page)[1] == f"conv1 {CONV - 1}"
    page.press(";")
    assert shown(page)[1] == f"conv1 {CONV - 1 - 3 * wide}"


def test_other_layers_keep_the_cursor_and_esc_goes_home(page):
    page.press("down", "L", "o")
    assert shown(page) == ("m:1x1", "mixed/1x1 3") and in_units(page)
    page.press("O", "u", "U")
    assert shown(page) == ("conv1", "conv1 3")
    page.press("z", "esc")
    assert shown(page) == ("conv1", "conv1 0") and not in_units(page)
    assert page.value("document.body.className") == ""


def test_the_unit_is_enlarged_and_its_pictures_are_hidden(page):
    width = "document.querySelector('#pictures figure').offsetWidth"
    before = page.value(width)
    page.press("down", "z")
    assert page.value("document.querySelector('#layer').offsetHeight") == 0
    assert page.value(width) > before
    page.press("right", "down")  # the columns are those of the grid before
    assert shown(page)[1] != "conv1 1"
    page.press("z", "9")
    assert page.value("document.querySelector('#layer').offsetHeight") > 0
    assert page.value("document.querySelector('#pictures').offsetHeight") == 0


def test_tiles_show_each_kind(page):
    page.press("down")
    first = "document.querySelector('#tiles .face')"
    assert "whole_layer.jpg" in page.value(f"{first}.style.backgroundImage")
    page.press("s")
    assert page.value(f"{first}.getAttribute('src')") == "images/max_im/conv1/conv1_0000.jpg"
    page.press("s")
    assert page.value(f"{first}.getAttribute('src')") == "images/max_deconv/conv1/conv1_0000.jpg"
    page.press("s")
    assert "whole_layer.jpg" in page.value(f"{first}.style.backgroundImage")


def test_a_tile_shows_its_own_part_of_the_sheet(page):
    page.until("document.querySelectorAll('#tiles .face').length === 40")
    canvas = """(async () => {
      const tile = document.querySelectorAll('#tiles .face')[%d];
      const box = tile.getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    })()"""
    for unit in (0, 1, 5, columns(page) + 2):
        x, y = page.value(canvas % unit)
        data = page.call("Page.captureScreenshot", format="png")["data"]
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert np.abs(picture[int(y), int(x), ::-1].astype(int) - colour_of(unit)).max() <= 10


def test_help_lists_the_keys_and_closes(page):
    page.press("h")
    assert page.value("document.querySelector('#help').open")
    keys = page.value("[...document.querySelectorAll('#help kbd')].map((kbd) => kbd.textContent)")
    assert {"left", "j", "K", "/", "u", "z", "s", "9", "h", "esc", "f"} <= set(keys)
    page.press("right")  # does nothing meanwhile
    page.press("h")
    assert not page.value("document.querySelector('#help').open")
    assert shown(page)[0] == "conv1"


def test_keys_with_ctrl_are_the_browsers_own(page):
    page.call("Input.dispatchKeyEvent", type="keyDown", key="l", modifiers=2)
    assert shown(page)[0] == "conv1"


# ---- pictures ----


def test_the_three_pictures_of_a_unit(page, made):
    page.press("down", "right")
    site = (made / "site" / "images").as_uri()
    assert images(page) == [
        f"{site}/regularized_opt/conv1/conv1_0001_montage.jpg",
        f"{site}/max_im/conv1/conv1_0001.jpg",
        f"{site}/max_deconv/conv1/conv1_0001.jpg",
    ]
    page.until(
        "[...document.querySelectorAll('#pictures img')].every((image) => image.naturalWidth > 1)"
    )
    tops = page.value(
        "[...document.querySelectorAll('#pictures figure')].map((figure) => figure.offsetTop)"
    )
    assert len(set(tops)) == 1  # side by side
    alts = page.value("[...document.querySelectorAll('#pictures img')].map((image) => image.alt)")
    assert alts == [
        "Optimised images of conv1 1", "Top patches of conv1 1", "Deconv of top patches of conv1 1",
    ]  # fmt: skip


def test_missing_pictures_are_said_to_be_missing(page, address):
    page.open(f"{address}#fc8/1")
    assert [image is None for image in images(page)] == [False, True, False]
    assert text(page, "#pictures figure:nth-child(2) .missing") == (
        "No top patches of wild_dog, fc8 1."
    )
    page.press("right", "right")
    assert images(page) == [None] * 3
    faces = page.value(
        "[...document.querySelectorAll('#tiles .face')].map((face) => face.textContent)"
    )
    assert faces == ["", "", "", *["no image"] * 3]


def test_only_the_layer_on_the_screen_is_loaded(page):
    page.until("document.querySelector('#pictures img').complete")
    pictures = [name for name in page.requested if name.endswith(".jpg")]
    assert pictures and all("/conv1/" in name for name in pictures)
    page.press("right")
    page.until("document.querySelector('#tiles img').complete")
    assert any("/mixed/1x1/" in name for name in page.requested)
    assert not any("/fc8/" in name for name in page.requested)


def test_of_a_long_layer_only_the_tiles_in_view_are_loaded(chromium, made):
    out, root = made / "long", made / "many"
    picture = (made / "units/max_im/conv1/conv1_0000.jpg").read_bytes()
    (root / "max_im" / "fc6").mkdir(parents=True)
    for unit in range(4096):
        (root / "max_im" / "fc6" / f"fc6_{unit:04d}.jpg").write_bytes(picture)
    write(collect(UnitFolder(str(root)), (), (), ()), Words("Tiny"), out, link=True)
    chromium.look()
    chromium.open((out / "index.html").as_uri())
    chromium.until("document.querySelector('#tiles img').complete")
    assert 10 < len(set(chromium.requested)) < 1000
    chromium.open((out / "index.html").as_uri() + "#fc6/4000")
    chromium.until("document.querySelectorAll('#tiles img')[4000].naturalWidth > 1")


def test_nothing_is_loaded_from_elsewhere(page, made):
    page.press("right", "right", "down", "s")
    page.until("document.querySelector('#pictures img').complete")
    site = (made / "site").as_uri()
    assert len(page.requested) > 5
    assert all(name.startswith((site + "/", "data:,")) for name in page.requested)


def test_linked_pictures_are_shown(chromium, made):
    out = made / "linked"
    write(collect(UnitFolder(str(made / "units")), (), (), ()), Words("Tiny"), out, link=True)
    chromium.open((out / "index.html").as_uri() + "#conv1/3")
    chromium.until("document.querySelector('#pictures img').naturalWidth > 1")
    assert images(chromium)[1] == (made / "units/max_im/conv1/conv1_0003.jpg").as_uri()
    assert chromium.errors == []


def test_a_sheet_that_is_gone_gives_way_to_the_units_own_files(chromium, made):
    out = made / "broken"
    found = collect(UnitFolder(str(made / "units")), (), (), ("fc8",))
    write(found, Words("Tiny"), out)
    (out / "images/regularized_opt/conv1/whole_layer.jpg").unlink()
    (out / "images/max_im/conv1/conv1_0000.jpg").unlink()
    chromium.open((out / "index.html").as_uri() + "#conv1/0")
    chromium.until("(document.querySelector('#tiles img') || {}).naturalWidth > 1")
    chromium.until("!document.querySelectorAll('#pictures .missing')[1].hidden")
    assert text(chromium, "#pictures figure:nth-child(2) .missing") == (
        "The picture cannot be loaded."
    )


def test_four_groups_are_named(chromium, made):
    out = made / "published"
    found = collect(UnitFolder(str(made / "units")), (), (), ())
    four = tuple(replace(entry, four_groups=True) for entry in found.layers)
    write(replace(found, layers=four), Words("Tiny"), out)
    chromium.open((out / "index.html").as_uri())
    assert text(chromium, "#pictures figcaption") == "Optimised images, four settings"


# ---- addresses ----


def test_an_address_leads_to_a_unit(page, address):
    page.open(f"{address}#conv1/37")
    assert shown(page) == ("conv1", "conv1 37") and in_units(page)
    tile = page.value("""(() => {
      const [box, unit] = [".tile[aria-current]", "#unit"].map((selector) =>
        document.querySelector(selector).getBoundingClientRect());
      return [box.top, box.bottom, innerHeight, unit.bottom];
    })()""")
    top, bottom, height, covered = tile
    assert covered <= top + 1 and bottom <= height + 1  # the tile is in view
    for written, expected in (
        ("#fc8", ("fc8", "Cat")),
        ("#mixed/1x1/4", ("m:1x1", "mixed/1x1 4")),
        ("#mixed%2F1x1/4", ("m:1x1", "mixed/1x1 4")),
        ("#pool1/7", ("conv1", "conv1 7")),  # has conv1's images
        ("#conv1/40", ("conv1", "conv1 0")),  # no such unit
        ("#nonsense/%E0", ("conv1", "conv1 0")),
    ):
        page.open(address + written)
        assert shown(page) == expected, written


def test_keys_change_the_address(page):
    page.press("right", "down", "right")
    page.until("location.hash === '#mixed%2F1x1/1'")
    assert page.value("document.title") == "mixed/1x1 1 · Tiny <i>net</i>"
    page.press("up")
    page.until("location.hash === '#mixed%2F1x1'")


def test_clicks_can_be_taken_back(page):
    page.click("#tiles li:nth-child(3) a")
    page.click("#tiles li:nth-child(5) a")
    assert shown(page)[1] == "conv1 4"
    page.value("history.back()")
    page.until("document.querySelector('#unit-title').textContent === 'conv1 2'")
    page.click("#tiles li:nth-child(3) a")  # the selected one
    assert page.value("document.body.className") == "zoomed"
    page.click("#next")
    assert shown(page)[1] == "conv1 3"
    page.click("#layers li:nth-child(3) a")
    assert shown(page) == ("fc8", HOSTILE if FC <= 3 else "hot dog")


# ---- search ----


def test_search_by_label(page):
    assert find(page, "dog") == ["dog / fc8 2", "wild_dog / fc8 1", "hot dog / fc8 3"]
    assert text(page, "#found-text") == "3 units found"
    page.press("enter")
    assert shown(page) == ("fc8", "dog") and in_units(page)
    assert page.value("document.querySelector('#query').value") == ""
    assert page.value("location.hash") == "#fc8/2"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("conv1 12", ["conv1 12"]),
        ("CONV1/12", ["conv1 12"]),
        ("conv1:12", ["conv1 12"]),
        ("pool1 12", ["conv1 12"]),
        ("mixed/1x1 4", ["mixed/1x1 4"]),
        ("mixed/1x1/4", ["mixed/1x1 4"]),
        ("Wild Dog", ["wild_dog / fc8 1"]),
        ("wild_dog", ["wild_dog / fc8 1"]),
        ("cafe", ["Café / fc8 4"]),
        ("fc cat", ["Cat / fc8 0"]),
        ("conv1 40", []),
        ("conv1 dog", []),
    ],
)
def test_search_understands(page, query, expected):
    assert find(page, query) == expected


def test_many_results_are_cut_and_nothing_found_is_said(page):
    assert len(find(page, "conv")) == CONV
    page.press("esc")
    assert find(page, "unicorn") == []
    assert text(page, "#found-text").startswith("Nothing found")
    page.press("esc")
    assert page.value("document.querySelector('#layer').offsetHeight") > 0


def test_keys_move_among_results(page):
    find(page, "dog")
    page.press("down", "down", "j", "right", "right")
    assert page.value("document.activeElement.innerText").endswith("hot dog\nfc8 3")
    page.press("up", "up", "up")
    assert page.value("document.activeElement.id") == "query"
    page.press("down", "k")
    page.press("esc")
    assert shown(page)[1] == "conv1 0"
    find(page, "dog")
    page.press("down", "down", "enter")
    assert shown(page) == ("fc8", "wild_dog")


def test_letters_in_the_search_are_letters(page):
    page.press("down", "f")
    page.press("l", "j", "z", "h")
    assert page.value("document.querySelector('#query').value") == "ljzh"
    assert page.value("document.body.className") == ""


# ---- text of others, focus, screens ----


def test_html_in_names_is_text(page, address):
    page.open(f"{address}#fc8/5")
    assert shown(page)[1] == HOSTILE
    assert text(page, "h1") == "Units of Tiny <i>net</i>"
    assert find(page, "img") == [f"{HOSTILE} / fc8 5"]
    assert page.value("document.querySelectorAll('img[src=x], h1 i, b').length") == 0
    assert page.value("document.title") == f"{HOSTILE}, fc8 5 · Tiny <i>net</i>"


def test_the_focus_follows_the_cursor(page):
    page.press("right")
    assert page.value("document.activeElement.textContent") == "m:1x1"
    page.press("down", "right")
    assert page.value("document.activeElement.getAttribute('aria-label')") == "mixed/1x1 1"
    page.press("z")
    assert page.value("document.activeElement.id") == "unit-title"
    stops = page.value("document.querySelectorAll('#tiles [tabindex=\"0\"]').length")
    assert stops == 1  # a layer of 4096 units takes one press of Tab


def test_every_control_has_a_name(page):
    nameless = page.value(
        "[...document.querySelectorAll('a, button, input, img')].filter((element) =>"
        " !(element.textContent.trim() || element.getAttribute('aria-label')"
        " || element.getAttribute('alt') !== null || element.labels?.length)).length"
    )
    assert nameless == 0


def test_it_fits_a_phone(page, address):
    page.look(360, 740, phone=True)
    for place in ("", "#conv1/12", "#fc8/5"):
        page.open(address + place)
        for key in ("", "z", "z", "h"):
            if key:
                page.press(key)
            assert page.value("document.documentElement.scrollWidth") == 360, (place, key)
        page.press("esc")
    page.press("z")
    tops = page.value(
        "[...document.querySelectorAll('#pictures figure')].map((figure) => figure.offsetTop)"
    )
    assert len(set(tops)) == 3  # one below the other


def test_on_a_low_screen_an_address_shows_the_unit_and_keys_the_tiles(page, address):
    def visible(selector: str) -> bool:
        return page.value(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect();"
            " return box.bottom > 0 && box.top < innerHeight; })()"
        )

    page.look(740, 360, phone=True)
    page.open(f"{address}#conv1/39")
    assert visible("#pictures") and not visible(".tile[aria-current]")
    page.press("left")
    assert visible(".tile[aria-current]")
    page.value("scrollTo(0, 0)")
    page.click("#previous")
    assert visible("#pictures") and shown(page)[1] == "conv1 37"


def test_light_and_dark(page):
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.value(ground)
    page.look(dark=True)
    dark = page.value(ground)
    level = [int(colour.strip("rgb()").split(",")[0]) for colour in (light, dark)]
    assert level[0] > 200 and level[1] < 60


# ---- what units answer to ----


@pytest.fixture(scope="module")
def worded(made, tmp_path_factory) -> str:
    """The address of a gallery whose units have names and cards."""
    folder = tmp_path_factory.mktemp("worded")
    collection(folder / "units")
    (folder / "units/labels").mkdir()
    (folder / "units/card/conv1").mkdir(parents=True)
    tile = (folder / "units/max_im/conv1/conv1_0007.jpg").read_bytes()
    (folder / "units/card/conv1/conv1_0007.jpg").write_bytes(tile)
    head = "layer,unit,label,d',share of top 100,silent,p1,p5,p10,p25,p50,p75,p90,p95,p99"
    levels = ",0,1,1,2,3,4,5,6,7"
    lines = [
        head,
        "conv1,7,Leopards,2.51,0.3,0.71" + levels,
        "conv1,9,Leopards,3.5,0.4,0" + levels,
        f'conv1,11,"{HOSTILE.replace(chr(34), chr(34) * 2)}",1,0.1,0' + levels,
        "fc8,1,wild_cat,4,0.4,0" + levels,
    ]
    (folder / "units/labels/labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    layers = [Layer("conv1", "conv1", CONV, 1, CONV), Layer("fc8", "fc8", FC, 1, FC)]
    found = collect(UnitFolder(str(folder / "units")), layers, LABELS, ("fc8",))
    drawn = {"conv1": np.full((20, 30, 3), 90, np.uint8)}
    write(found, Words("Worded"), folder / "site", weights=drawn)
    return (folder / "site" / "index.html").as_uri()


@pytest.fixture
def named(chromium, worded):
    chromium.look()
    chromium.open(worded)
    yield chromium
    assert chromium.errors == []


def test_units_are_found_by_what_they_answer_to(named):
    # the highest d' first; a class's own unit comes before units that answer to a class
    assert find(named, "leopard") == [
        "conv1 9 / Leopards, d' 3.5", "conv1 7 / Leopards, d' 2.5",
    ]  # fmt: skip
    named.press("esc")
    assert find(named, "cat") == ["Cat / fc8 0", "wild_dog / fc8 1"]
    named.press("esc")
    assert find(named, "conv1 leopard 7") == ["conv1 7 / Leopards, d' 2.5"]


def test_the_page_says_what_is_known_of_a_unit_and_shows_its_card(named):
    named.press("down", *["right"] * 7)
    said = text(named, "#unit-words")
    assert said.startswith("Answers to Leopards: d' 2.5; 30 of its 100 strongest photos; silent on")
    assert "50 % of photos are below 3" in said
    assert len(images(named)) == 4 and images(named)[3].endswith("card/conv1/conv1_0007.jpg")
    named.press("right")
    assert named.value("document.querySelector('#unit-words').hidden")
    assert images(named)[3] is None
    named.press("right", "right", "right")
    assert HOSTILE in text(named, "#unit-words")
    assert named.value("document.title") != "hacked"


def test_a_gallery_without_cards_has_three_pictures_a_unit(page):
    page.press("down")
    assert len(images(page)) == 3
    assert page.value("document.querySelector('#unit-words').hidden")


def test_weights_are_shown_where_a_layer_has_any(named):
    named.press("right")  # fc8
    assert named.value("document.querySelector('#weights').hidden")
    named.press("left")
    assert not named.value("document.querySelector('#weights').hidden")
    named.value("document.querySelector('#weights').open = true")
    named.until("document.querySelector('#weights img').naturalWidth === 30")
    assert named.value("document.querySelector('#weights a').href").endswith("000_conv1.png")
