// The paper: light ink on a dark ground, as in MNIST, by mouse, pen, finger, or an example.

const INK = 24; // pixels of 280: about two of the network's 28
const EXAMPLES = [
  // strokes of x, y in 0–100, as a hand would draw them
  [[30, 28, 42, 20, 58, 20, 68, 30, 62, 42, 48, 48, 62, 52, 70, 64, 64, 76, 50, 82, 34, 78, 28, 70]],
  [[28, 24, 50, 24, 72, 23, 62, 42, 52, 62, 46, 80]],
  [[30, 32, 40, 22, 56, 20, 66, 30, 62, 46, 46, 62, 30, 78, 50, 77, 72, 77]],
  [[50, 20, 36, 28, 30, 48, 36, 72, 50, 80, 64, 72, 70, 48, 64, 28, 50, 20]],
  [[40, 22, 34, 40, 30, 54, 50, 54, 72, 53], [60, 30, 58, 54, 56, 80]],
  [[66, 22, 40, 22, 38, 44, 54, 42, 66, 52, 64, 70, 50, 79, 34, 74]],
];

export class Paper {
  // changed: called whenever the pen has left ink
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.context = canvas.getContext("2d");
    this.pens = new Map(); // pointer → its last place
    this.blank = true;
    this.picture = false; // shows a chosen picture, not a drawing
    this.example = 0;
    this.clear();
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => this.pens.delete(event.pointerId));
    }
  }

  clear() {
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.blank = true;
    this.picture = false;
  }

  drawExample() {
    this.clear();
    const unit = this.canvas.width / 100;
    for (const stroke of EXAMPLES[this.example++ % EXAMPLES.length]) {
      const points = [];
      for (let i = 0; i < stroke.length; i += 2) points.push([stroke[i] * unit, stroke[i + 1] * unit]);
      this.#curve(points);
    }
    this.changed();
  }

  // Show a chosen file, all of it, in the middle. One that the browser cannot read is left out: the
  // server says what is wrong with it.
  async show(file) {
    this.clear();
    this.blank = false;
    this.picture = true;
    try {
      const image = await createImageBitmap(file);
      const {width, height} = this.canvas;
      const scale = Math.min(width / image.width, height / image.height);
      const [w, h] = [image.width * scale, image.height * scale];
      this.context.fillStyle = "#fff"; // under what is transparent, as the server does it
      this.context.fillRect((width - w) / 2, (height - h) / 2, w, h);
      this.context.drawImage(image, (width - w) / 2, (height - h) / 2, w, h);
      image.close();
    } catch {
      this.clear();
      this.picture = true;
    }
  }

  blob() {
    return new Promise((resolve) => this.canvas.toBlob(resolve, "image/png"));
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  #down(event) {
    if (event.button > 0) return;
    event.preventDefault();
    if (this.picture) this.clear();
    this.canvas.setPointerCapture(event.pointerId);
    const place = this.#place(event);
    this.pens.set(event.pointerId, place);
    this.#line([place, [place[0] + 0.1, place[1]]]); // a line without length has no caps
    this.changed();
  }

  #move(event) {
    const last = this.pens.get(event.pointerId);
    if (!last) return;
    const between = event.getCoalescedEvents?.() ?? []; // a fast hand moves more often than a frame
    const places = (between.length ? between : [event]).map((each) => this.#place(each));
    this.#line([last, ...places]);
    this.pens.set(event.pointerId, places.at(-1));
    this.changed();
  }

  #pen() {
    this.blank = false;
    this.context.strokeStyle = "#fff";
    this.context.lineWidth = INK;
    this.context.lineCap = "round";
    this.context.lineJoin = "round";
    this.context.beginPath();
  }

  #line(points) {
    this.#pen();
    this.context.moveTo(...points[0]);
    for (const point of points.slice(1)) this.context.lineTo(...point);
    this.context.stroke();
  }

  #curve(points) {
    this.#pen();
    this.context.moveTo(...points[0]);
    for (let i = 1; i < points.length - 1; i++) {
      const [x, y] = points[i];
      const end = i < points.length - 2 ? [(x + points[i + 1][0]) / 2, (y + points[i + 1][1]) / 2]
        : points[i + 1];
      this.context.quadraticCurveTo(x, y, ...end);
    }
    this.context.stroke();
  }
}
