// Keys, mouse and touch of the one who steers, as messages.

const TAP_MS = 500, TAP_PIXELS = 12, PINCH = 1.3, WHEEL_STEP = 60, MOVE_MS = 25;

export function listen(page) {
  listenToKeys(page);
  listenToMouse(page);
  listenToWheel(page);
  listenToTouch(page);
  listenToFiles(page);
}

// Keys that a browser owns are left to it: those with Ctrl, Alt or the system's key, and those
// of a name that nothing is bound to. AltGr and the Mac's option key write letters.
function listenToKeys({ send, state, names, help }) {
  document.addEventListener("keydown", (event) => {
    const { key } = event, writes = key.length === 1 && key !== " ";
    const graph = event.getModifierState("AltGraph") || (event.altKey && !/^[a-z0-9]$/i.test(key));
    const owned = event.metaKey || ((event.ctrlKey || event.altKey) && !(graph && writes));
    if (!state.steering || owned || event.isComposing || isButton(event)) return;
    if (!(writes ? /^[!-~]$/.test(key) : names().has(key))) return;
    event.preventDefault();
    if (!help(key)) send({ type: "key", key });
  });
}

// A button that has the focus is pressed by Enter and by the space bar.
function isButton({ key, target }) {
  return (key === "Enter" || key === " ") && target instanceof HTMLButtonElement;
}

function point({ picture, send, state }, kind, event) {
  const at = state.steering && state.ready && picture.place(event);
  if (at) send({ type: "mouse", kind, ...at });
}

function listenToMouse(page) {
  page.room.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") return;
    if (event.button === 0) point(page, "click", event);
    if (event.button === 2) point(page, "right click", event);
  });
  const move = moves(page);
  page.room.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "touch") move(event.buttons & 1 ? "drag" : "move", event);
  });
  page.room.addEventListener("contextmenu", (event) => event.preventDefault());
}

// Moves come oftener than pictures: some are left out.
function moves(page) {
  let last = 0;
  return (kind, event) => {
    if (event.timeStamp - last < MOVE_MS) return;
    last = event.timeStamp;
    point(page, kind, event);
  };
}

function listenToWheel(page) {
  let turned = 0, last = 0;
  page.room.addEventListener("wheel", (event) => {
    if (event.ctrlKey) return; // the browser's own zoom
    event.preventDefault();
    const lines = [1, 20, 400][event.deltaMode] || 1;
    if (event.timeStamp - last > 300) turned = 0;
    last = event.timeStamp;
    turned += event.deltaY * lines;
    if (Math.abs(turned) < WHEEL_STEP) return;
    point(page, turned < 0 ? "wheel up" : "wheel down", event);
    turned = 0;
  }, { passive: false });
}

// A tap is a click, a long one the right button; a finger that moves drags from where it began;
// two fingers that part zoom nearer.
function listenToTouch(page) {
  const down = new Map();
  const move = moves(page);
  let pinch = 0, pinched = false;
  const fingers = () => [...down.values()];
  const apart = () => {
    const [a, b] = fingers();
    return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
  };
  page.room.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    down.set(event.pointerId, { first: event, clientX: event.clientX, clientY: event.clientY });
    pinched = down.size > 1;
    if (down.size === 2) pinch = apart();
  });
  page.room.addEventListener("pointermove", (event) => {
    const finger = down.get(event.pointerId);
    if (!finger) return;
    finger.clientX = event.clientX;
    finger.clientY = event.clientY;
    if (down.size === 1 && !pinched) drag(finger, event);
    if (down.size !== 2 || !pinch) return;
    const ratio = apart() / pinch;
    if (ratio < PINCH && ratio > 1 / PINCH) return;
    const [a, b] = fingers();
    const middle = { clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 };
    point(page, ratio > 1 ? "wheel up" : "wheel down", middle);
    pinch = apart();
  });
  const drag = (finger, event) => {
    const { first } = finger;
    const moved = Math.hypot(event.clientX - first.clientX, event.clientY - first.clientY);
    if (!finger.drags && moved <= TAP_PIXELS) return;
    if (!finger.drags) point(page, "click", first);
    finger.drags = true;
    move("drag", event);
  };
  page.room.addEventListener("pointerup", (event) => {
    const finger = down.get(event.pointerId);
    down.delete(event.pointerId);
    if (!finger || pinched || finger.drags) return;
    const { first } = finger;
    const moved = Math.hypot(event.clientX - first.clientX, event.clientY - first.clientY);
    if (moved > TAP_PIXELS) return;
    point(page, event.timeStamp - first.timeStamp < TAP_MS ? "click" : "right click", event);
  });
  page.room.addEventListener("pointercancel", (event) => down.delete(event.pointerId));
}

function listenToFiles({ files, state }) {
  const carries = (event) => state.steering && [...event.dataTransfer.types].includes("Files");
  const mark = (on) => document.body.classList.toggle("dropping", on);
  document.addEventListener("dragover", (event) => {
    event.preventDefault(); // else the browser would leave the page for the file
    mark(carries(event));
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(false); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    if (carries(event)) files(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (state.steering && event.clipboardData.files.length) files(event.clipboardData.files);
  });
}
