// The page: a connection to the toolbox, the picture it sends, and what the viewer does.

import { listen } from "./controls.js";
import { Picture } from "./picture.js";
import { Camera, sendPictures } from "./sending.js";

const RETRY_MS = 1000, RETRY_MOST_MS = 15000;
const FULL = 4001;
const find = (id) => document.getElementById(id);
const note = (text) => { find("note").textContent = text; find("note").hidden = !text; };

const picture = new Picture(find("window"), find("strips"), find("room"), resized);
const camera = new Camera((...message) => send(...message));
const state = { steering: false, ready: false };
let socket = null;
let retry = RETRY_MS;
let names = new Set(), help = new Set();

// Send a message; with data behind it where there are any.
function send(fields, data) {
  if (!socket || socket.readyState !== WebSocket.OPEN) return;
  const text = JSON.stringify(fields);
  if (!data) { socket.send(text); return; }
  const head = new TextEncoder().encode(text);
  const length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, head.length);
  socket.send(new Blob([length.buffer, head, data]));
}

function connect() {
  const address = new URL("socket", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  address.search = address.hash = "";
  note("Connecting …");
  socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    retry = RETRY_MS;
    note("Loading the network …");
    introduce();
  };
  socket.onmessage = ({ data }) => {
    if (typeof data === "string") hear(JSON.parse(data)); else show(data);
  };
  socket.onclose = closed;
}

// Say what this browser can do, and at what size it shows the window best.
function introduce() {
  const scale = Math.min(100, Math.max(0.01, picture.scale()));
  send({ type: "browser", camera: Camera.possible(), scale });
}

let resizing = 0;
function resized() {
  clearTimeout(resizing);
  resizing = setTimeout(introduce, 300);
}

async function show(data) {
  const head = await picture.take(data);
  state.ready = true;
  send({ type: "shown", number: head.number });
}

function hear(message) {
  if (message.type === "hello") {
    document.title = message.title;
    names = new Set(message.keys.names);
    help = new Set(message.keys.help);
    picture.describe(message);
    introduce();
    listKeys(message.keys.sections);
    note("");
  } else if (message.type === "people") {
    meet(message);
  } else if (message.type === "camera") {
    camera.want(message.want);
  } else if (message.type === "note") {
    tell(message.text);
  }
}

let hiding = 0;
function tell(text) {
  note(text);
  clearTimeout(hiding);
  if (text) hiding = setTimeout(() => note(""), 8000);
}

function meet({ you, steering, viewers, asking, seconds }) {
  state.steering = you === steering;
  document.body.classList.toggle("watching", !state.steering);
  const asked = asking.length > 0;
  find("ask").hidden = state.steering;
  find("ask").disabled = asking.includes(you);
  find("give").hidden = find("keep").hidden = !(state.steering && asked);
  find("open").disabled = !state.steering;
  let text = viewers.length > 1 ? `${viewers.length} viewers` : "";
  if (!state.steering) text = `You watch; another of ${viewers.length} viewers steers.`;
  if (!state.steering && asking.includes(you)) text = `Asked: you steer in ${seconds} s, or sooner.`;
  if (state.steering && asked) text = `Another viewer asks to steer: its turn in ${seconds} s.`;
  find("people").textContent = text;
}

async function closed({ code, reason }) {
  state.steering = false;
  camera.stop();
  if (code === 1001 && reason) { note(`${reason}. Start it again, and open the address that it prints.`); return; }
  if (code >= 4003) { note(`The toolbox hung up: ${reason}. Reload to connect again.`); return; }
  const why = code === FULL ? reason.replace("refused: ", "") : await refusal();
  note(`${why || "The connection is gone"}; trying again …`);
  setTimeout(connect, retry);
  retry = Math.min(2 * retry, RETRY_MOST_MS);
}

// A WebSocket does not say why it was refused, and a page does; one that is no plain text comes
// from a proxy between.
async function refusal() {
  try {
    const answer = await fetch("page.css", { cache: "no-store" });
    const plain = (answer.headers.get("Content-Type") || "").startsWith("text/plain");
    return answer.ok || !plain ? "" : (await answer.text()).trim().replace(/\.$/, "");
  } catch { return ""; }
}

function listKeys(sections) {
  const list = find("keys");
  list.replaceChildren();
  for (const [heading, rows] of sections) {
    const title = document.createElement("h2");
    title.textContent = heading;
    list.append(title);
    for (const [keys, label, help] of rows) {
      const row = document.createElement("div"), text = document.createElement("span");
      const button = document.createElement("button");
      row.className = "row";
      button.type = "button";
      button.textContent = label.split(" or ")[0];
      button.title = label;
      button.onclick = () => { if (!helps(keys[0])) send({ type: "key", key: keys[0] }); };
      text.textContent = help;
      row.append(button, text);
      list.append(row);
    }
  }
}

function toggleKeys() {
  find("keys").hidden = !find("keys").hidden;
  find("keys-open").setAttribute("aria-expanded", String(!find("keys").hidden));
}

// On an upright phone the list of keys takes the place of the help, which would be cut up.
function helps(key) {
  if (!help.has(key) || !picture.tall()) return false;
  toggleKeys();
  return true;
}

find("keys-open").onclick = toggleKeys;
for (const what of ["ask", "give", "keep"]) find(what).onclick = () => send({ type: what });
find("full").onclick = () => document.fullscreenElement
  ? document.exitFullscreen() : document.documentElement.requestFullscreen();
find("open").onclick = () => find("files").click();
find("files").onchange = () => { sendPictures(find("files").files, send, tell); find("files").value = ""; };
listen({ room: find("room"), picture, send, state, names: () => names, help: helps,
         files: (files) => sendPictures(files, send, tell) });
connect();
