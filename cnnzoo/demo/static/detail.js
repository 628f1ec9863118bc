// One pixel of one map, taken apart: where it looks, who won the pool, and the sum behind it.

import {bright, paintMap, paintPicture, signed} from "./painting.js";

const $ = (id) => document.getElementById(id);

export class Detail {
  constructor(moved) {
    this.moved = moved; // called with the row and column that are to be shown next
    this.found = null;
    this.channel = null; // input map whose products are shown; null: the one that matters most
    $("map").addEventListener("click", (event) => this.#click(event));
    $("map").addEventListener("keydown", (event) => this.#key(event));
  }

  hide() {
    $("detail").hidden = true;
    this.found = null;
  }

  // A stage that is no convolution with its pool has maps, but nothing to take apart.
  showNote(stage, map, sentence) {
    this.#open(stage, map, sentence);
    $("detail-parts").hidden = $("product-parts").hidden = true;
  }

  // found: the server's answer; seen: the picture; map: {values, height, width, top}; layer: what
  // the stage is; before: a map of the stage before, by its number, or null for the first stage
  show(found, seen, map, layer, before) {
    if (this.found?.stage !== found.stage || this.found?.map !== found.map) this.channel = null;
    this.found = found;
    this.layer = layer;
    this.before = before;
    this.size = map;
    this.#open(found.stage, found.map, "");
    $("detail-parts").hidden = $("product-parts").hidden = false;

    const {row, column} = found;
    paintMap($("map"), map.values, map.height, map.width, map.top);
    outline($("map-outline"), [row, column, row + 1, column + 1], map.height, map.width);
    $("map").setAttribute("aria-label", `Map ${found.map} of ${found.stage}, enlarged`);
    $("map-place").textContent = `Row ${row}, column ${column}: ${round(found.value)}`;

    const [, height, width] = seen.shape;
    paintPicture($("where"), seen);
    $("where-outline").hidden = !found.picture_box;
    $("where-place").textContent = "Other layers stand between: it cannot be outlined.";
    if (found.picture_box) {
      const [top, left, bottom, right] = found.picture_box;
      outline($("where-outline"), found.picture_box, height, width);
      $("where-place").textContent = `Rows ${top} to ${bottom - 1}, columns ${left} to ${right - 1}.`;
    }
    this.#pool(layer);
    this.#products(layer);
  }

  #open(stage, map, note) {
    $("detail").hidden = false;
    $("detail-name").textContent = `Map ${map} of ${stage}`;
    $("detail-note").textContent = note;
    $("detail-note").hidden = !note;
  }

  #pool(layer) {
    const {values, winner} = this.found.pool;
    const top = Math.max(0, ...values.flat());
    $("pool-hint").textContent = `The filter answered at ${layer.pool.join(" × ")} neighbouring `
      + "places. The strongest goes on, the others are forgotten.";
    fill($("pool"), values, (value, r, c, cell) => {
      const {ground, text} = bright(value, top);
      cell.style.background = ground;
      cell.style.color = text;
      cell.classList.toggle("winner", r === winner[0] && c === winner[1]);
      return round(value);
    });
    $("pool-sum").textContent = this.found.value > 0
      ? `The outlined one wins: ${round(this.found.value)}.`
      : "All are negative: ReLU makes it 0, the pixel stays dark.";
  }

  #products(layer) {
    const {kernel, patch, sums, bias, first, loudest, pool} = this.found;
    const many = sums.length > 1;
    const shown = this.channel ?? loudest;
    const name = (c) => layer.inputs?.[c] ?? `map ${c + first}`;
    $("channels").hidden = !many;
    $("product-hint").textContent = many
      ? `${sums.length} maps come in, each with a kernel of its own. Their sums are added; here are `
        + "those that matter most. Choose one to see its products."
      : "Multiply what lies under the kernel by the kernel, number by number, and add it all up."
        + (layer.scaled ? ` Pixels come in scaled: black is ${round(layer.scaled[0])}, white is `
        + `${round(layer.scaled[1])}.` : "");
    if (many) this.#channels(sums, shown, name);
    $("source-figure").hidden = !many || !this.before;
    if (many && this.before) {
      const {values, height, width, top, stage} = this.before(shown + first);
      paintMap($("source"), values, height, width, top);
      outline($("source-outline"), this.found.patch_box, height, width);
      $("source-caption").textContent = `${name(shown)} of ${stage}, kernel outlined`;
    }

    const products = kernel[shown].map((line, r) => line.map((k, c) => k * patch[shown][r][c]));
    const limits = [patch[shown], kernel.flat(), products].map((rows) => Math.max(...rows.flat().map(Math.abs)));
    [["patch", patch[shown]], ["kernel", kernel[shown]], ["products", products]].forEach(([id, rows], i) => {
      fill($(id), rows, (value, r, c, cell) => {
        const {ground, text} = signed(value, limits[i]);
        cell.style.background = ground;
        cell.style.color = text;
        return round(value);
      });
      $(id).classList.toggle("small", rows.length > 3);
    });
    const before = pool.values[pool.winner[0]][pool.winner[1]];
    const rest = before - bias - sums[shown];
    $("sum").textContent = [
      `Sum of the products ${round(sums[shown])}`,
      many ? `the other ${sums.length - 1} maps ${plus(rest)}` : "",
      `bias ${plus(bias)}`,
    ].filter(Boolean).join(", ") + ` = ${round(before)}`
      + (before < 0 ? ", which ReLU turns into 0." : ".");
  }

  #channels(sums, shown, name) {
    const order = sums.map((_, c) => c).sort((a, b) => Math.abs(sums[b]) - Math.abs(sums[a]));
    const limit = Math.abs(sums[order[0]]);
    const buttons = order.slice(0, 12).map((c) => {
      const button = document.createElement("button");
      const {ground, text} = signed(sums[c], limit);
      button.type = "button";
      button.textContent = `${name(c)}: ${plus(sums[c])}`;
      button.style.background = ground;
      button.style.color = text;
      button.setAttribute("aria-pressed", c === shown);
      button.addEventListener("click", () => {
        const at = [...$("channels").children].indexOf(button);
        this.channel = c;
        this.#products(this.layer);
        $("channels").children[at]?.focus();
      });
      return button;
    });
    $("channels").replaceChildren(...buttons);
  }

  #click(event) {
    if (!this.found) return;
    const box = $("map").getBoundingClientRect();
    const inside = (part, count) => Math.max(0, Math.min(count - 1, Math.floor(part * count)));
    this.moved(
      inside((event.clientY - box.top) / box.height, this.size.height),
      inside((event.clientX - box.left) / box.width, this.size.width),
    );
  }

  #key(event) {
    const steps = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};
    const step = steps[event.key];
    if (!step || !this.found) return;
    event.preventDefault();
    const row = this.found.row + step[0];
    const column = this.found.column + step[1];
    if (row < 0 || column < 0 || row >= this.size.height || column >= this.size.width) return;
    this.moved(row, column);
  }
}

function fill(table, rows, write) {
  const body = document.createElement("tbody");
  rows.forEach((line, r) => {
    const row = body.insertRow();
    line.forEach((value, c) => {
      const cell = row.insertCell();
      cell.textContent = write(value, r, c, cell);
    });
  });
  table.tBodies[0]?.remove();
  table.append(body);
}

function outline(element, [top, left, bottom, right], height, width) {
  const percent = (part, whole) => `${(100 * part) / whole}%`;
  Object.assign(element.style, {
    top: percent(top, height),
    left: percent(left, width),
    height: percent(bottom - top, height),
    width: percent(right - left, width),
  });
}

function round(value) {
  const text = value.toFixed(2).replace("-", "−");
  return text === "−0.00" ? "0.00" : text;
}

function plus(value) {
  return value < 0 ? round(value) : `+${round(value)}`;
}
