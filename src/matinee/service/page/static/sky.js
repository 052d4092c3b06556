// The map as a picture: points on a night sky that can be moved and zoomed.

import { genreColor } from "./poster.js";

const CLOSEST = 24; // times as large as the whole
const REACH = 18; // pixels from a point within which a pointer means it

/**
 * A map on a canvas. `points` are {item_id, title, x, y, genre, kind: "lit" | "glowing" | null};
 * `onPoint(point, x, y)` hears which one is pointed at (null for none), `onOpen(point)` of a click.
 */
export class Sky {
  constructor(canvas, { onPoint, onOpen }) {
    Object.assign(this, { canvas, onPoint, onOpen, points: [], zoom: 1, x: 0.5, y: 0.5, at: null });
    this.pointers = new Map();
    this.moved = 0;
    new ResizeObserver(() => this.draw()).observe(canvas);
    this.listen();
  }

  show(points) {
    // those that shine are drawn last, over the others
    const order = { lit: 1, glowing: 2 };
    this.points = points.toSorted(
      (one, other) => (order[one.kind] ?? 0) - (order[other.kind] ?? 0),
    );
    this.draw();
  }

  /** Where a point of the map is on the canvas. */
  place({ x, y }) {
    const { clientWidth, clientHeight } = this.canvas;
    // a map as wide as its canvas, so that a phone and a screen are both filled
    return [
      clientWidth / 2 + (x - this.x) * (clientWidth - 36) * this.zoom,
      clientHeight / 2 + (y - this.y) * (clientHeight - 36) * this.zoom,
    ];
  }

  moveBy(x, y) {
    this.x -= x / ((this.canvas.clientWidth - 36) * this.zoom);
    this.y -= y / ((this.canvas.clientHeight - 36) * this.zoom);
    this.settle();
  }

  /** Zooms so that what is under (x, y) of the canvas stays there. */
  zoomBy(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const zoom = Math.min(CLOSEST, Math.max(1, this.zoom * factor));
    const [width, height] = [this.canvas.clientWidth - 36, this.canvas.clientHeight - 36];
    const [dx, dy] = [x - this.canvas.clientWidth / 2, y - this.canvas.clientHeight / 2];
    this.x += (dx / width) * (1 / this.zoom - 1 / zoom);
    this.y += (dy / height) * (1 / this.zoom - 1 / zoom);
    this.zoom = zoom;
    this.settle();
  }

  goTo(point) {
    this.zoom = Math.max(this.zoom, 3);
    [this.x, this.y] = [point.x, point.y];
    this.settle();
    this.point(point);
  }

  whole() {
    Object.assign(this, { zoom: 1, x: 0.5, y: 0.5 });
    this.settle();
  }

  settle() {
    const half = 0.5 / this.zoom;
    this.x = Math.min(1 - half, Math.max(half, this.x));
    this.y = Math.min(1 - half, Math.max(half, this.y));
    this.point(null);
    this.draw();
  }

  point(point) {
    if (this.at !== point) {
      this.at = point;
      this.draw();
    }
    this.onPoint(point, ...(point ? this.place(point) : []));
  }

  nearest(x, y) {
    let [best, distance] = [null, REACH];
    for (const point of this.points) {
      const [px, py] = this.place(point);
      // one that shines is easier to hit
      const away = Math.hypot(px - x, py - y) - (point.kind ? 5 : 0);
      if (away <= distance) [best, distance] = [point, away];
    }
    return best;
  }

  draw() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = undefined;
      this.paint();
    });
  }

  paint() {
    const { canvas } = this;
    const sharp = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * sharp)) canvas.width = Math.round(width * sharp);
    if (canvas.height !== Math.round(height * sharp)) canvas.height = Math.round(height * sharp);
    const pen = canvas.getContext("2d");
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    pen.clearRect(0, 0, width, height);
    const size = Math.min(4, 1.9 + 0.4 * Math.sqrt(this.zoom));
    for (const point of this.points) {
      const [x, y] = this.place(point);
      if (x < -30 || y < -30 || x > width + 30 || y > height + 30) continue;
      star(pen, x, y, point, size, point === this.at);
    }
    this.label(pen, width, height);
  }

  /** Titles of those that shine, where there is room for them. */
  label(pen, width, height) {
    pen.font = "600 12px system-ui, sans-serif";
    pen.textBaseline = "middle";
    const taken = [[width - 68, height - 160, width, height]]; // there are the buttons
    for (const point of this.points.filter((one) => one.kind).reverse()) {
      const [x, y] = this.place(point);
      if (x < 0 || x > width) continue;
      const title = point.name.length > 26 ? `${point.name.slice(0, 25)}…` : point.name;
      const long = pen.measureText(title).width;
      const left = x + 11 + long > width - 6 ? x - 11 - long : x + 11;
      const box = [left - 4, y - 9, left + long + 4, y + 9];
      if (
        left < 4 ||
        taken.some(
          (one) => box[0] < one[2] && box[2] > one[0] && box[1] < one[3] && box[3] > one[1],
        )
      )
        continue;
      taken.push(box);
      pen.lineWidth = 3;
      pen.strokeStyle = "rgba(11, 14, 24, .85)";
      pen.strokeText(title, left, y);
      pen.fillStyle = point.kind === "lit" ? "#fff" : "#ffc9a8";
      pen.fillText(title, left, y);
    }
  }

  listen() {
    const { canvas } = this;
    const where = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, where(event));
      if (this.pointers.size === 1) this.moved = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      const now = where(event);
      if (!this.pointers.has(event.pointerId)) {
        this.point(this.nearest(...now));
        return;
      }
      this.drag(event.pointerId, now);
    });
    const up = (event) => {
      const was = this.pointers.get(event.pointerId);
      this.pointers.delete(event.pointerId);
      if (!was || event.type === "pointercancel" || this.moved > 6) return;
      const point = this.nearest(...where(event));
      // a finger cannot hover: the first touch says what it is, the second opens it
      if (point && (event.pointerType === "mouse" || point === this.at)) this.onOpen(point);
      else this.point(point);
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") this.point(null);
    });
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoomBy(Math.exp(-event.deltaY / 300), ...where(event));
      },
      { passive: false },
    );
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  drag(pointer, now) {
    const was = this.pointers.get(pointer);
    const [x, y] = [now[0] - was[0], now[1] - was[1]];
    const others = [...this.pointers].filter(([id]) => id !== pointer).map(([, place]) => place);
    this.pointers.set(pointer, now);
    this.moved += Math.hypot(x, y);
    if (!others.length) {
      if (this.moved > 6) this.moveBy(x, y);
      return;
    }
    const [still] = others;
    const factor =
      Math.hypot(now[0] - still[0], now[1] - still[1]) /
      Math.max(1, Math.hypot(was[0] - still[0], was[1] - still[1]));
    this.moved = 100; // two fingers never mean a touch
    this.moveBy(x / 2, y / 2);
    this.zoomBy(factor, (now[0] + still[0]) / 2, (now[1] + still[1]) / 2);
  }

  key(event) {
    const step = 60;
    const keys = {
      ArrowLeft: () => this.moveBy(step, 0),
      ArrowRight: () => this.moveBy(-step, 0),
      ArrowUp: () => this.moveBy(0, step),
      ArrowDown: () => this.moveBy(0, -step),
      "+": () => this.zoomBy(1.5),
      "=": () => this.zoomBy(1.5),
      "-": () => this.zoomBy(1 / 1.5),
      0: () => this.whole(),
      Escape: () => this.point(null),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  }
}

function star(pen, x, y, point, size, pointed) {
  const circle = (r, color) => {
    pen.beginPath();
    pen.arc(x, y, r, 0, 2 * Math.PI);
    pen.fillStyle = color;
    pen.fill();
  };
  if (point.kind === "glowing") {
    const glow = pen.createRadialGradient(x, y, 0, x, y, 22);
    glow.addColorStop(0, "rgba(255, 138, 92, .75)");
    glow.addColorStop(0.35, "rgba(255, 120, 70, .28)");
    glow.addColorStop(1, "rgba(255, 120, 70, 0)");
    circle(22, glow);
    circle(5, "#ffb48f");
  } else if (point.kind === "lit") {
    circle(10, "rgba(255, 255, 255, .16)");
    circle(5, "#ffffff");
  } else {
    pen.globalAlpha = 0.8;
    circle(size, genreColor(point.genre));
    pen.globalAlpha = 1;
  }
  if (pointed) {
    pen.beginPath();
    pen.arc(x, y, 11, 0, 2 * Math.PI);
    pen.strokeStyle = "#fff";
    pen.lineWidth = 2;
    pen.stroke();
  }
}
