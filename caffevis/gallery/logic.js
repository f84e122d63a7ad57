// What keys, addresses and searches mean: functions of data and state, without the page.
//
// A state is {layer, unit, inUnits, zoom, kind, pictures}: the layer's index, the unit's number,
// whether the cursor is in the units or in the list of layers, whether only the unit is shown,
// which kind of pictures the tiles show, and whether the unit's own pictures are shown.
"use strict";

const Logic = (() => {
  const MOST_RESULTS = 200;
  const KEY_NAMES = {
    ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down", Escape: "esc",
  };

  const clamp = (value, last) => Math.min(Math.max(value, 0), last);

  // ---- pictures ----

  // A unit's picture of a kind; null where there is none.
  function address(layer, kind, unit) {
    for (const [before, after, first, last] of layer.pictures[kind]) {
      if (unit >= first && unit <= last) {
        return before + String(unit).padStart(4, "0") + after;
      }
    }
    return null;
  }

  function count(layer, kind) {
    return layer.pictures[kind].reduce((sum, run) => sum + run[3] - run[2] + 1, 0);
  }

  const kindsOf = (layer) => layer.pictures.map((_, kind) => kind);

  // The kind that is wanted, or the first that the layer has.
  function kindShown(layer, wanted) {
    const has = (kind) => count(layer, kind) > 0;
    return has(wanted) ? wanted : kindsOf(layer).find(has);
  }

  // Where in a layer's sheet a unit is, as shares of the sheet for CSS.
  function sprite(sheet, unit) {
    const place = (index, axis) => {
      const room = sheet.whole[axis] - sheet.tile[axis];
      const at = sheet.border + index * (sheet.tile[axis] + sheet.gap);
      return room === 0 ? "0%" : `${(100 * at) / room}%`;
    };
    const size = [0, 1].map((axis) => `${(100 * sheet.whole[axis]) / sheet.tile[axis]}%`);
    const column = unit % sheet.columns;
    return {
      size: size.join(" "),
      position: `${place(column, 0)} ${place(Math.floor(unit / sheet.columns), 1)}`,
    };
  }

  const labelOf = (layer, unit) => layer.labels[unit] || "";
  // What a unit answers to: its label or "", d', and what is known of it, line by line.
  const wordsOf = (layer, unit) => layer.words[unit] || ["", 0, []];
  const nameOf = (layer, unit) => `${layer.name} ${unit}`;

  // ---- states ----

  function first(data) {
    return { layer: 0, unit: 0, inUnits: false, zoom: false, kind: 0, pictures: true };
  }

  function atLayer(data, state, index) {
    const layer = clamp(index, data.layers.length - 1);
    return { ...state, layer, unit: clamp(state.unit, data.layers[layer].units - 1) };
  }

  function atUnit(data, state, unit) {
    return { ...state, unit: clamp(unit, data.layers[state.layer].units - 1), inUnits: true };
  }

  function sideways(data, state, distance) {
    if (!state.inUnits) return atLayer(data, state, state.layer + distance);
    return atUnit(data, state, state.unit + distance);
  }

  function down(data, state, rows, columns) {
    return state.inUnits ? atUnit(data, state, state.unit + rows * columns)
                         : { ...state, inUnits: true };
  }

  function up(data, state, rows, columns) {
    if (!state.inUnits) return state;
    if (state.unit < rows * columns) {
      return { ...state, inUnits: false, unit: state.unit % columns };
    }
    return atUnit(data, state, state.unit - rows * columns);
  }

  function nextKind(data, state) {
    const layer = data.layers[state.layer];
    const kinds = kindsOf(layer).filter((kind) => count(layer, kind) > 0);
    const at = kinds.indexOf(kindShown(layer, state.kind));
    return { ...state, kind: kinds[(at + 1) % kinds.length] };
  }

  // A row is a tag of the live app's bindings, what the help says, and what the state becomes;
  // the keys of a tag come with the data. `columns` are those of the grid as it is laid out.
  const ROWS = [
    ["sel_left", "Previous layer, or unit to the left", (d, s) => sideways(d, s, -1)],
    ["sel_right", "Next layer, or unit to the right", (d, s) => sideways(d, s, 1)],
    ["sel_down", "From the layers into the units, or a row down", (d, s, c) => down(d, s, 1, c)],
    ["sel_up", "A row up, from the top row to the layers", (d, s, c) => up(d, s, 1, c)],
    ["sel_left_fast", "Faster left", (d, s) => sideways(d, s, -d.fast)],
    ["sel_right_fast", "Faster right", (d, s) => sideways(d, s, d.fast)],
    ["sel_down_fast", "Faster down", (d, s, c) => down(d, s, d.fast, c)],
    ["sel_up_fast", "Faster up", (d, s, c) => up(d, s, d.fast, c)],
    ["sel_layer_left", "Previous layer; the cursor stays", (d, s) => atLayer(d, s, s.layer - 1)],
    ["sel_layer_right", "Next layer; the cursor stays", (d, s) => atLayer(d, s, s.layer + 1)],
    ["zoom_mode", "All units, or only the selected one, enlarged",
      (d, s) => ({ ...s, zoom: !s.zoom, pictures: true })],
    ["pattern_mode", "Tiles: optimised images, top patches, deconv, other levels", nextKind],
    ["toggle_unit_jpgs", "Show or hide the pictures of the selected unit",
      (d, s) => ({ ...s, pictures: !s.pictures, zoom: false })],
    ["reset_state", "First layer, first unit; or leave the search", (d) => first(d)],
  ];
  // These change no state; the page does them.
  const PAGE_ROWS = [
    ["search", "Find: a label, or a layer and a number"],
    ["help_mode", "Show or hide this help"],
  ];
  const OWN_KEYS = { search: ["f"] };

  const keysOf = (data, tag) => OWN_KEYS[tag] || data.keys[tag];

  // The tag that a press is bound to; undefined where there is none.
  function tagOf(data, event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return undefined;
    const key = KEY_NAMES[event.key] || event.key;
    const row = [...PAGE_ROWS, ...ROWS].find(([tag]) => keysOf(data, tag).includes(key));
    return row && row[0];
  }

  function act(data, state, tag, columns) {
    return ROWS.find((row) => row[0] === tag)[2](data, state, columns);
  }

  // ---- addresses: #layer and #layer/unit ----

  function hash(data, state) {
    const name = encodeURIComponent(data.layers[state.layer].name);
    return state.inUnits ? `#${name}/${state.unit}` : `#${name}`;
  }

  function find(data, name) {
    const own = data.layers.findIndex((layer) => layer.name === name);
    return own >= 0 ? own : data.layers.findIndex((layer) => layer.borrowers.includes(name));
  }

  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  }

  // The state that an address asks for; null where there is no such layer or unit.
  function parse(data, state, text) {
    const path = text.replace(/^#/, "");
    const whole = find(data, decoded(path));
    if (whole >= 0 && !/\/\d+$/.test(path)) return { ...atLayer(data, state, whole), inUnits: false };
    const [, name, number] = /^(.*)\/(\d+)$/.exec(path) || [];
    const layer = name === undefined ? -1 : find(data, decoded(name));
    if (layer >= 0) {
      if (Number(number) >= data.layers[layer].units) return null;
      return atUnit(data, { ...state, layer }, Number(number));
    }
    return whole >= 0 ? { ...atLayer(data, state, whole), inUnits: false } : null;
  }

  // ---- search ----

  // Upper and lower case, accents and underscores make no difference.
  function fold(text) {
    return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/_/g, " ");
  }

  // "conv5/12" and "conv5:12" are two words, but a slash in a layer's name stays.
  function words(data, query) {
    const names = new Set(data.layers.map((layer) => fold(layer.name)));
    return query.trim().split(/\s+/).map(fold).filter(Boolean).flatMap((word) => {
      const parts = /^#?(.+)[/:#](\d+)$/.exec(word);
      return parts && !names.has(word) ? parts.slice(1) : [word];
    });
  }

  // How far a word is from a unit: 0 exactly, 1 or 2 in part, 3 or 4 from what it answers to (the
  // nearer the higher d'), null not at all.
  function distance(word, unit, label, names, answers, dprime) {
    if (names.includes(word) || (/^\d+$/.test(word) && Number(word) === unit)) return 0;
    if (label === word) return 0;
    if (` ${label} `.includes(` ${word} `)) return 1;
    if (label.includes(word) || names.some((name) => name.startsWith(word))) return 2;
    return answers.includes(word) ? 4 - Math.min(dprime, 99) / 100 : null;
  }

  // The units that every word of a query fits, the nearest first: {total, hits}.
  function search(data, query) {
    const wanted = words(data, query);
    const hits = [];
    if (wanted.length === 0) return { total: 0, hits };
    data.layers.forEach((layer, index) => {
      const names = [layer.name, layer.title, ...layer.borrowers].map(fold);
      for (let unit = 0; unit < layer.units; unit += 1) {
        const label = fold(labelOf(layer, unit));
        const [answers, dprime] = wordsOf(layer, unit);
        const folded = fold(answers);
        let sum = 0;
        for (const word of wanted) {
          const far = distance(word, unit, label, names, folded, dprime);
          sum = far === null || sum === null ? null : sum + far;
        }
        if (sum !== null) hits.push({ layer: index, unit, sum });
      }
    });
    hits.sort((one, other) => one.sum - other.sum);
    return { total: hits.length, hits: hits.slice(0, MOST_RESULTS) };
  }

  return {
    ROWS, PAGE_ROWS, keysOf, tagOf, act, first, hash, parse, search, address, count, kindShown,
    sprite, labelOf, nameOf, wordsOf, kindsOf,
  };
})();
