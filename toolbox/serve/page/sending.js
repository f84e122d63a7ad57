// What the viewer's browser sends: its camera, and pictures.

const MOST_BYTES = 15 * 1024 * 1024, MOST_SIDE = 1280, QUALITY = 0.85;

export class Camera {
  constructor(send) {
    this.send = send;
    this.stream = null;
    this.wanted = this.seen = false;
    this.waiting = null;
    this.video = document.createElement("video");
    this.video.muted = this.video.playsInline = true;
    this.canvas = document.createElement("canvas");
  }

  // Browsers give the camera only to localhost and https.
  static possible() {
    return Boolean(window.isSecureContext && navigator.mediaDevices?.getUserMedia);
  }

  want(what) {
    if (what === "start") this.start();
    else if (what === "frame") this.frame();
    else this.stop();
  }

  async start() {
    this.wanted = true;
    try {
      const stream = await navigator.mediaDevices.getUserMedia(
        { audio: false, video: { width: { ideal: 640 }, height: { ideal: 480 } } });
      if (!this.wanted) { stream.getTracks().forEach((track) => track.stop()); return; }
      this.stream = stream;
      this.video.srcObject = stream;
      await this.video.play();
      this.watch();
      this.send({ type: "allowed" });
    } catch {
      if (this.wanted) this.send({ type: "refused" });
    }
  }

  // The picture that the camera gives now, at most MOST_SIDE pixels a side.
  async frame() {
    if (!this.stream) return;
    await this.fresh();
    const { videoWidth, videoHeight } = this.video;
    if (!videoWidth) return;
    const scale = Math.min(1, MOST_SIDE / Math.max(videoWidth, videoHeight));
    this.canvas.width = Math.round(videoWidth * scale);
    this.canvas.height = Math.round(videoHeight * scale);
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    this.canvas.toBlob((blob) => { if (blob && this.stream) this.send({ type: "camera" }, blob); },
                       "image/jpeg", QUALITY);
  }

  // Count the frames that the camera gives, where the browser tells of them.
  watch() {
    this.video.requestVideoFrameCallback?.(() => {
      this.seen = true;
      this.waiting?.();
      if (this.stream) this.watch();
    });
  }

  // Wait for a frame that was not sent yet, but not for long.
  async fresh() {
    if (!this.seen) {
      await new Promise((done) => { this.waiting = done; setTimeout(done, 100); });
    }
    this.seen = false;
  }

  stop() {
    this.wanted = false;
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = this.video.srcObject = null;
  }
}

export async function sendPictures(files, send, tell) {
  for (const file of files) {
    if (file.size > MOST_BYTES) {
      tell(`${file.name} has ${(file.size / 1e6).toFixed(0)} MB; a picture may have 15 MB`);
    } else {
      tell(`Sending ${file.name} …`);
      send({ type: "picture", name: file.name.slice(-80) }, file);
    }
  }
}
