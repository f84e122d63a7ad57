// The window's picture: parts are decoded and drawn together, and the whole is fitted to the page.
// On an upright phone its columns of panes stand below each other instead, so they can be read.

const TALL = 1.15, NARROW = 700;

// Whether JPEGs become pixels here: by ImageDecoder, which browsers have on localhost and over
// HTTPS, and VideoFrame's conversion. Chromium spends a quarter less on a frame than with a Blob,
// which goes to another of its processes and back.
const DECODES = "ImageDecoder" in globalThis && converts();

function converts() {
  let frame = null;
  try {
    const size = { codedWidth: 2, codedHeight: 2 };
    frame = new VideoFrame(new Uint8Array(6), { format: "I420", timestamp: 0, ...size });
    return frame.allocationSize({ format: "RGBA" }) === 16;
  } catch { return false; } finally { frame?.close(); }
}

// Decode a part, to what has a method close: a VideoFrame or an ImageBitmap.
async function decode(data, kind) {
  const type = `image/${kind}`;
  if (kind !== "jpeg" || !DECODES) return createImageBitmap(new Blob([data], { type }));
  const decoder = new ImageDecoder({ data, type });
  try { return (await decoder.decode()).image; } finally { decoder.close(); }
}

export class Picture {
  constructor(canvas, strips, room, resized) {
    this.canvas = canvas;
    this.strips = strips;
    this.room = room;
    this.context = canvas.getContext("2d", { alpha: false });
    this.pixels = new Map();
    this.drawn = Promise.resolve();
    this.about = null;
    this.views = [];
    new ResizeObserver(() => { this.arrange(); resized(); }).observe(room);
  }

  // Take the window's first size and its panes, as the toolbox describes them.
  describe(about) {
    this.about = about;
    this.arrange();
  }

  // Draw a frame's message behind those before it, and return its head.
  take(data) {
    const length = new DataView(data).getUint32(0);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    let at = 4 + length;
    const parts = head.parts.map(([x, y, , , kind, size]) => {
      const part = new Uint8Array(data, at, size);
      at += size;
      return decode(part, kind).then((image) => ({ image, x, y }));
    });
    this.drawn = Promise.all([this.drawn, ...parts]).then(([, ...images]) =>
      this.draw(head, images));
    return this.drawn.then(() => head);
  }

  // Draw decoded parts, all at once: between them the browser could show half a frame.
  async draw({ width, height }, parts) {
    const { canvas } = this, before = this.pixels;
    this.pixels = new Map();
    const images = await Promise.all(parts.map(({ image, x, y }) =>
      image instanceof ImageBitmap ? image : this.convert(image, `${x} ${y}`, before)));
    if (width !== canvas.width || height !== canvas.height) {
      Object.assign(canvas, { width, height });
      this.arrange();
    }
    images.forEach((image, part) => {
      const { x, y } = parts[part];
      if (image instanceof ImageData) this.context.putImageData(image, x, y);
      else this.context.drawImage(image, x, y);
      parts[part].image.close();
    });
    for (const view of this.views) this.copy(view);
  }

  // Make pixels of a VideoFrame, in the memory of the frame before: new memory costs as much.
  async convert(image, place, before) {
    const { displayWidth: width, displayHeight: height } = image;
    let pixels = before.get(place);
    if (pixels?.width !== width || pixels.height !== height) pixels = new ImageData(width, height);
    this.pixels.set(place, pixels);
    await image.copyTo(pixels.data, { format: "RGBA" });
    return pixels;
  }

  // How many times larger than at first the window would just fill the room, in its own pixels.
  scale() {
    if (!this.about) return 1;
    const { width, height } = this.about, [wide, high] = this.size();
    const columns = this.tall() ? this.columns() : null;
    return columns ? wide / columns[0].w : Math.min(wide / width, high / height);
  }

  size() {
    const dense = window.devicePixelRatio || 1;
    return [this.room.clientWidth * dense, this.room.clientHeight * dense];
  }

  tall() {
    const { clientWidth, clientHeight } = this.room;
    return Boolean(this.about) && clientWidth < NARROW && clientHeight > TALL * clientWidth
      && this.columns().length > 1;
  }

  // The columns of panes, the widest first: panes that share their left edge and width.
  columns() {
    const found = new Map();
    for (const [x, y, w, h] of this.about.panes) {
      if (w === this.about.width) continue;
      const column = found.get(`${x} ${w}`) || { x, y, w, bottom: y, panes: [] };
      column.y = Math.min(column.y, y);
      column.bottom = Math.max(column.bottom, y + h);
      column.panes.push({ x, y, w, h });
      found.set(`${x} ${w}`, column);
    }
    return [...found.values()].map((column) => ({ ...column, h: column.bottom - column.y }))
      .sort((a, b) => b.w * b.h - a.w * a.h);
  }

  // Lay everything out anew: the whole window, or on an upright phone its columns.
  arrange() {
    const tall = this.tall();
    this.canvas.hidden = tall;
    this.strips.hidden = !tall;
    this.views = [];
    this.strips.replaceChildren();
    if (!tall) { this.fit(); return; }
    const [first, ...others] = this.columns();
    const lines = this.about.panes.filter(([, , w]) => w === this.about.width)
      .map(([x, y, w, h]) => ({ x, y, w, h }));
    // A column alone would be wider than it is drawn: its panes stand side by side.
    const below = others.length === 1 ? others[0].panes : others;
    this.view(first, "100%");
    for (const line of lines) this.view(line, `${(100 * line.w) / first.w}%`, true);
    for (const part of below) this.view(part, `${100 / below.length}%`);
  }

  view(place, width, scrolls = false) {
    const box = document.createElement("div"), canvas = document.createElement("canvas");
    box.className = scrolls ? "line" : "column";
    box.style.width = scrolls ? "100%" : width;
    canvas.style.width = scrolls ? width : "100%";
    box.append(canvas);
    this.strips.append(box);
    const view = { canvas, place, context: canvas.getContext("2d", { alpha: false }) };
    this.views.push(view);
    this.copy(view);
  }

  copy({ canvas, place, context }) {
    const { x, y, width, height } = this.inPicture(place);
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    context.drawImage(this.canvas, x, y, width, height, 0, 0, width, height);
  }

  // Where a rectangle of the window's first size lies in the picture of now.
  inPicture({ x, y, w, h }) {
    const scale = this.canvas.width / this.about.width, at = (edge) => Math.round(edge * scale);
    return { x: at(x), y: at(y), width: Math.max(1, at(x + w) - at(x)),
             height: Math.max(1, at(y + h) - at(y)) };
  }

  // As large as the room allows, in the same aspect, on whole pixels of the screen.
  fit() {
    const { width, height } = this.canvas, dense = window.devicePixelRatio || 1;
    const [wide, high] = this.size();
    let scale = Math.min(wide / width, high / height);
    if (scale >= 1 && scale < 1.02) scale = 1;
    this.canvas.style.width = `${Math.floor(width * scale) / dense}px`;
    this.canvas.style.height = `${Math.floor(height * scale) / dense}px`;
  }

  // Where an event is, in pixels of the picture; null beside it.
  place({ clientX, clientY }) {
    const shown = this.views.length
      ? this.views.map(({ canvas, place }) => [canvas, this.inPicture(place)])
      : [[this.canvas, { x: 0, y: 0, width: this.canvas.width, height: this.canvas.height }]];
    for (const [canvas, at] of shown) {
      const box = canvas.getBoundingClientRect();
      const x = Math.floor((clientX - box.left) * at.width / box.width);
      const y = Math.floor((clientY - box.top) * at.height / box.height);
      if (x >= 0 && y >= 0 && x < at.width && y < at.height) return { x: at.x + x, y: at.y + y };
    }
    return null;
  }
}
