// The window's picture: parts are decoded, drawn together, and the whole fitted to the page.

export class Picture {
  constructor(canvas, room) {
    this.canvas = canvas;
    this.room = room;
    this.context = canvas.getContext("2d", { alpha: false });
    this.drawn = Promise.resolve();
    new ResizeObserver(() => this.fit()).observe(room);
  }

  // Draw a frame's message behind those before it, and return its head.
  take(data) {
    const length = new DataView(data).getUint32(0);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    let at = 4 + length;
    const parts = head.parts.map(([x, y, , , kind, size]) => {
      const blob = new Blob([new Uint8Array(data, at, size)], { type: `image/${kind}` });
      at += size;
      return createImageBitmap(blob, { colorSpaceConversion: "none" })
        .then((image) => ({ image, x, y }));
    });
    this.drawn = Promise.all([this.drawn, ...parts]).then(([, ...images]) => {
      if (head.width !== this.canvas.width || head.height !== this.canvas.height) {
        this.canvas.width = head.width;
        this.canvas.height = head.height;
        this.fit();
      }
      for (const { image, x, y } of images) {
        this.context.drawImage(image, x, y);
        image.close();
      }
    });
    return this.drawn.then(() => head);
  }

  // As large as the room allows, in the same aspect, on whole pixels of the screen.
  fit() {
    const { width, height } = this.canvas, dense = window.devicePixelRatio || 1;
    const room = [this.room.clientWidth * dense, this.room.clientHeight * dense];
    let scale = Math.min(room[0] / width, room[1] / height);
    if (Math.abs(scale - 1) < 0.02 && scale >= 1) scale = 1;
    this.canvas.style.width = `${Math.floor(width * scale) / dense}px`;
    this.canvas.style.height = `${Math.floor(height * scale) / dense}px`;
  }
}
