// The page: draws the state, and turns keys, clicks and addresses into the next one.
//
// Text from files (labels, names of layers) is only ever put in as text.
"use strict";

(() => {
  const data = window.GALLERY;
  const byId = (id) => document.getElementById(id);
  const WRITE_ADDRESS_MS = 200; // browsers stop pages that change their address at every key
  const SMALL = 100; // pixels: the squares of smaller pictures are kept, not smoothed

  let state = Logic.first(data);
  let drawn = {}; // what is on the page: {layer, kind, unit}
  let columns = 1; // of the grid of tiles, while it could last be seen
  let written = null; // the address that the page itself has set
  let timer = 0;
  const brokenSheets = new Set();

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

  function say(layer, unit) {
    const label = Logic.labelOf(layer, unit);
    const name = Logic.nameOf(layer, unit);
    return label ? `${label}, ${name}` : name;
  }

  // ---- a unit's face in a tile or a result ----

  function face(layer, unit, kind) {
    const sheet = layer.sheet;
    if (kind === 0 && sheet && sheet.asTiles && !brokenSheets.has(layer)) {
      const place = Logic.sprite(sheet, unit);
      const made = element("span", { className: "face" });
      made.style.backgroundImage = `url("${sheet.address}")`;
      made.style.backgroundSize = place.size;
      made.style.backgroundPosition = place.position;
      made.style.aspectRatio = sheet.tile.join(" / ");
      made.classList.toggle("pixels", sheet.tile[0] < SMALL / 3);
      return made;
    }
    const address = Logic.address(layer, kind, unit);
    const none = () => element("span", { className: "face none", textContent: "no image" });
    if (address === null) return none();
    const image = element("img", { className: "face", alt: "", loading: "lazy", decoding: "async" });
    image.addEventListener("load", () => markSmall(image));
    image.addEventListener("error", () => image.replaceWith(none()));
    image.src = address;
    return image;
  }

  function markSmall(image) {
    image.classList.toggle("pixels", image.naturalWidth < SMALL);
  }

  // A sheet that cannot be loaded gives way to the units' own files.
  function checkSheet(layer) {
    if (!layer.sheet || brokenSheets.has(layer)) return;
    const probe = new Image();
    probe.addEventListener("error", () => {
      brokenSheets.add(layer);
      drawn.layer = undefined;
      draw();
    });
    probe.src = layer.sheet.address;
  }

  // ---- the list of layers ----

  function makeLayers() {
    const items = data.layers.map((layer, index) => {
      const link = element("a", { href: Logic.hash(data, { layer: index }), tabIndex: -1,
                                  textContent: layer.title });
      if (layer.title !== layer.name) link.title = layer.name;
      link.dataset.layer = index;
      return element("li", {}, link);
    });
    byId("layers").append(...items);
  }

  function layerLink() {
    return byId("layers").children[state.layer].firstChild;
  }

  function drawLayers() {
    for (const item of byId("layers").children) {
      item.firstChild.removeAttribute("aria-current");
      item.firstChild.tabIndex = -1;
      item.firstChild.classList.remove("cursor");
    }
    layerLink().setAttribute("aria-current", "true");
    layerLink().tabIndex = 0;
    layerLink().classList.toggle("cursor", !state.inUnits);
  }

  // ---- the tiles of a layer ----

  function drawTiles() {
    const layer = data.layers[state.layer];
    const kind = Logic.kindShown(layer, state.kind);
    if (drawn.layer !== state.layer || drawn.kind !== kind) {
      byId("tiles").replaceChildren(...Array.from({ length: layer.units }, (_, unit) =>
        element("li", {}, tile(layer, unit, kind))));
      drawn = { layer: state.layer, kind, unit: undefined };
      drawLayerHead(layer, kind);
      if (kind === 0) checkSheet(layer);
    }
    const before = byId("tiles").children[drawn.unit];
    if (before) {
      before.firstChild.removeAttribute("aria-current");
      before.firstChild.tabIndex = -1;
    }
    tileLink().setAttribute("aria-current", "true");
    tileLink().tabIndex = 0;
    byId("tiles").classList.toggle("cursor", state.inUnits);
    drawn.unit = state.unit;
  }

  function tile(layer, unit, kind) {
    const caption = element("span", { className: "caption",
                                      textContent: Logic.labelOf(layer, unit) || String(unit) });
    const link = element("a", { className: "tile", tabIndex: -1, title: say(layer, unit) },
                         face(layer, unit, kind), caption);
    link.href = Logic.hash(data, { layer: data.layers.indexOf(layer), unit, inUnits: true });
    link.setAttribute("aria-label", say(layer, unit));
    link.dataset.unit = unit;
    return link;
  }

  function tileLink() {
    return byId("tiles").children[state.unit].firstChild;
  }

  function drawWeights(layer) {
    const box = byId("weights");
    box.hidden = layer.weights === null;
    box.querySelector("a")?.remove();
    if (box.hidden) return;
    const image = element("img", { loading: "lazy", decoding: "async", src: layer.weights,
                                   alt: `Weights of ${layer.name}` });
    box.append(element("a", { href: layer.weights }, image));
  }

  function drawLayerHead(layer, kind) {
    byId("layer-title").textContent = layer.name;
    const shown = layer.borrowers.length ? `, also those of ${layer.borrowers.join(", ")}` : "";
    const text = byId("layer-text");
    text.replaceChildren(`${layer.units} units${shown}`);
    if (layer.sheet) {
      text.append("; ", element("a", { href: layer.sheet.address, textContent: "all in one picture" }));
    }
    drawWeights(layer);
    const buttons = data.kinds.map((name, index) => {
      const has = Logic.count(layer, index);
      const button = element("button", { type: "button", disabled: has === 0,
                                         textContent: `${capital(name)} (${has})` });
      button.setAttribute("aria-pressed", String(index === kind));
      button.addEventListener("click", () => change({ ...state, kind: index }, { tiles: true }));
      return button;
    });
    byId("tile-kinds").replaceChildren(...buttons);
  }

  // ---- the selected unit ----

  function makePictures() {
    byId("pictures").style.setProperty("--kinds", data.kinds.length);
    byId("pictures").append(...data.kinds.map(() => {
      const image = element("img", { loading: "lazy", decoding: "async" });
      const missing = element("p", { className: "missing" });
      const link = element("a", {}, image);
      image.addEventListener("load", () => {
        markSmall(image);
        image.classList.remove("loading");
      });
      image.addEventListener("error", () => {
        link.hidden = true;
        missing.hidden = false;
        missing.textContent = "The picture cannot be loaded.";
      });
      return element("figure", {}, link, missing, element("figcaption"));
    }));
  }

  function drawPicture(figure, layer, kind) {
    const [link, missing, caption] = figure.children;
    const image = link.firstChild;
    const address = Logic.address(layer, kind, state.unit);
    const name = data.kinds[kind];
    const of = `of ${say(layer, state.unit)}`;
    caption.textContent = capital(name) + (kind === 0 && layer.fourGroups ? ", four settings" : "");
    link.hidden = address === null;
    missing.hidden = address !== null;
    if (address === null) {
      image.removeAttribute("src");
      missing.textContent = `No ${name} ${of}.`;
    } else if (image.getAttribute("src") !== address) {
      image.classList.add("loading");
      image.src = link.href = address;
    }
    image.alt = `${capital(name)} ${of}`;
    link.setAttribute("aria-label", `${image.alt}: the file`);
  }

  function drawUnit() {
    const layer = data.layers[state.layer];
    const label = Logic.labelOf(layer, state.unit);
    const name = Logic.nameOf(layer, state.unit);
    byId("unit-title").textContent = label || name;
    byId("unit-name").textContent = label ? name : "";
    const lines = Logic.wordsOf(layer, state.unit)[2];
    byId("unit-words").textContent = capital(lines.join("; "));
    byId("unit-words").hidden = lines.length === 0;
    [...byId("pictures").children].forEach((figure, kind) => drawPicture(figure, layer, kind));
    byId("previous").disabled = state.unit === 0;
    byId("next").disabled = state.unit === layer.units - 1;
    byId("zoom").setAttribute("aria-pressed", String(state.zoom));
    byId("pictures").hidden = !state.pictures;
    document.body.classList.toggle("zoomed", state.zoom);
    document.title = `${state.inUnits ? say(layer, state.unit) : layer.name} · ${data.title}`;
  }

  // ---- everything ----

  function draw() {
    drawLayers();
    drawUnit();
    drawTiles();
    const shown = getComputedStyle(byId("tiles")).gridTemplateColumns;
    if (!state.zoom && !byId("layer").hidden) columns = shown.split(" ").length;
  }

  const staysInView = () => getComputedStyle(byId("unit")).position === "sticky";

  function scroll(tiles) {
    // On a low screen either the tiles or the unit can be seen.
    const alone = state.zoom || (state.inUnits && !tiles && !staysInView());
    if (alone) byId("unit").scrollIntoView({ block: "start" });
    else if (state.inUnits) tileLink().scrollIntoView({ block: "nearest" });
    else window.scrollTo(0, 0);
    // Only sideways: the page itself stays at the unit.
    const list = byId("layers");
    const [link, room] = [layerLink().getBoundingClientRect(), list.getBoundingClientRect()];
    list.scrollLeft += Math.min(link.left - room.left, 0) || Math.max(link.right - room.right, 0);
  }

  function focus() {
    const place = state.zoom ? byId("unit-title") : state.inUnits ? tileLink() : layerLink();
    place.focus({ preventScroll: true });
  }

  // `own` is false where the address already says what the state becomes; `tiles` is true for
  // what the user wants to see in the tiles.
  function change(next, { own = true, push = false, tiles = false } = {}) {
    state = next;
    draw();
    scroll(tiles);
    clearTimeout(timer);
    if (own && push) writeAddress(true);
    else if (own) timer = setTimeout(writeAddress, WRITE_ADDRESS_MS, false);
  }

  function writeAddress(push) {
    written = Logic.hash(data, state);
    if (push) location.hash = written;
    else location.replace(written);
  }

  function readAddress() {
    if (location.hash === written) return;
    written = null;
    if (searching()) leaveSearch();
    const next = location.hash ? Logic.parse(data, state, location.hash) : Logic.first(data);
    if (next) change({ ...next, kind: state.kind }, { own: false });
  }

  // ---- search ----

  const searching = () => !byId("found").hidden;

  function drawResults() {
    const query = byId("query").value;
    const empty = query.trim() === "";
    byId("found").hidden = empty;
    byId("unit").hidden = byId("layer").hidden = !empty;
    if (empty) {
      draw();
      return;
    }
    const { total, hits } = Logic.search(data, query);
    const units = total === 1 ? "1 unit" : `${total} units`;
    const first = total > hits.length ? `; the first ${hits.length} are shown` : "";
    byId("found-text").textContent =
      total ? `${units} found${first}` : "Nothing found. Try a label, or a layer and a number: conv5 12";
    byId("results").replaceChildren(...hits.map(({ layer: index, unit }) => {
      const layer = data.layers[index];
      const label = Logic.labelOf(layer, unit);
      const link = element("a", { href: Logic.hash(data, { layer: index, unit, inUnits: true }) },
        face(layer, unit,
             Math.max(0, Logic.kindsOf(layer).findIndex((k) => Logic.address(layer, k, unit)))),
        element("strong", { textContent: label || Logic.nameOf(layer, unit) }),
        element("span", { textContent: label ? Logic.nameOf(layer, unit) : answers(layer, unit) }));
      link.addEventListener("click", (event) => {
        if (plain(event)) open({ ...state, layer: index, unit, inUnits: true }, event);
      });
      return element("li", {}, link);
    }));
  }

  function answers(layer, unit) {
    const [label, dprime] = Logic.wordsOf(layer, unit);
    return label ? `${label}, d' ${dprime.toFixed(1)}` : "";
  }

  function leaveSearch() {
    byId("query").value = "";
    drawResults();
  }

  function open(next, event) {
    event.preventDefault();
    if (searching()) leaveSearch();
    change(next, { push: true });
    focus();
  }

  // Whether a click asks for the page itself, not for another tab or window.
  function plain(event) {
    return event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  }

  // ---- keys ----

  function toggleHelp() {
    const help = byId("help");
    if (help.open) help.close();
    else help.showModal();
  }

  // Keys among the results of a search; false for those with no meaning there.
  function moveInResults(tag) {
    const [, towards, fast] = /^sel_(left|up|right|down)(_fast)?$/.exec(tag) || [];
    if (tag === "reset_state") {
      leaveSearch();
      focus();
      return true;
    }
    if (!towards) return false;
    const links = [...byId("results").querySelectorAll("a")];
    const step = (fast ? data.fast : 1) * (towards === "left" || towards === "up" ? -1 : 1);
    const at = links.indexOf(document.activeElement) + step;
    const place = at < 0 ? byId("query") : links[Math.min(at, links.length - 1)];
    if (place) place.focus();
    return true;
  }

  function typed(event) {
    if (event.key === "Escape") {
      leaveSearch();
      focus();
    } else if (event.key === "ArrowDown" && searching()) {
      moveInResults("sel_down");
    } else {
      return;
    }
    event.preventDefault();
  }

  function pressed(event) {
    if (event.target === byId("query")) {
      typed(event);
      return;
    }
    const tag = Logic.tagOf(data, event);
    if (!tag || (byId("help").open && tag !== "help_mode")) return;
    if (tag === "help_mode") toggleHelp();
    else if (tag === "search") byId("query").select();
    else if (searching()) {
      if (!moveInResults(tag)) return;
    } else {
      change(Logic.act(data, state, tag, columns), { tiles: true });
      focus();
    }
    event.preventDefault();
  }

  function makeHelp() {
    const rows = [...Logic.ROWS, ...Logic.PAGE_ROWS].map(([tag, help]) => {
      const keys = Logic.keysOf(data, tag).flatMap((key) => [element("kbd", { textContent: key }), " "]);
      const head = element("th", { scope: "row" }, ...keys);
      return element("tr", {}, head, element("td", { textContent: help }));
    });
    byId("help-rows").append(...rows);
  }

  // ---- start ----

  function listen() {
    document.addEventListener("keydown", pressed);
    window.addEventListener("hashchange", readAddress);
    window.addEventListener("resize", draw);
    byId("query").addEventListener("input", drawResults);
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      const best = byId("results").querySelector("a");
      if (searching() && best) best.click();
    });
    byId("layers").addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (!link || !plain(event)) return;
      const layer = Number(link.dataset.layer);
      const unit = Math.min(state.unit, data.layers[layer].units - 1);
      open({ ...state, layer, unit, inUnits: false, zoom: false }, event);
    });
    byId("tiles").addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (!link || !plain(event)) return;
      const unit = Number(link.dataset.unit);
      const again = state.inUnits && unit === state.unit; // the selected one: enlarge it
      open({ ...state, unit, inUnits: true, zoom: again, pictures: again || state.pictures }, event);
    });
    const act = (tag) => () => change(Logic.act(data, { ...state, inUnits: true }, tag, columns));
    byId("previous").addEventListener("click", act("sel_left"));
    byId("next").addEventListener("click", act("sel_right"));
    byId("zoom").addEventListener("click", act("zoom_mode"));
    byId("help-button").addEventListener("click", toggleHelp);
    // What is scrolled to must not end below the unit's pictures, which stay in view.
    new ResizeObserver(([entry]) => {
      const height = staysInView() ? entry.target.offsetHeight + 8 : 0;
      document.documentElement.style.scrollPaddingTop = `${height}px`;
    }).observe(byId("unit"));
  }

  function makeAbout() {
    const texts = data.about.map(({ name, address }) =>
      element("a", { href: address, textContent: name }));
    if (texts.length) byId("about").append("About the images: ", ...texts.flatMap((a) => [a, " "]));
  }

  byId("unit-title").tabIndex = -1;
  makeLayers();
  makePictures();
  makeHelp();
  makeAbout();
  draw();
  listen();
  readAddress();
})();
