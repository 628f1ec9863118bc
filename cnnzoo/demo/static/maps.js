// The feature maps of every stage as tiles, each a button. All tiles of a stage share one scale.

import {paintMap, unpack} from "./painting.js";

const $ = (id) => document.getElementById(id);

// The tiles stay from one answer to the next, so that focus and choice do.
export class Maps {
  constructor(chosen) {
    this.chosen = chosen; // called with the name of the stage and the number of the map
    this.stages = new Map(); // name → {tiles, values, shape, top}
  }

  clear() {
    this.stages.clear();
    const hint = document.createElement("p");
    hint.className = "quiet";
    hint.textContent = "The feature maps appear when there is a picture.";
    $("stages").replaceChildren(hint);
  }

  show(stages, descriptions) {
    if (!stages.length) {
      $("stages").textContent = "This network names no stages to look into.";
      return;
    }
    if ([...this.stages.keys()].join() !== stages.map((each) => each.name).join()) {
      this.stages.clear();
      $("stages").replaceChildren(...stages.map((each, i) => this.#build(each, i, descriptions)));
    }
    for (const {name, maps, top} of stages) {
      const {shape, values} = unpack(maps, Float32Array);
      const stage = this.stages.get(name);
      Object.assign(stage, {shape, values, top});
      const [, height, width] = shape;
      stage.tiles.forEach((tile, k) => {
        paintMap(tile.firstChild, this.one(name, k).values, height, width, top);
      });
    }
  }

  // One map with its numbers, its size, and the top of the stage's scale.
  one(stage, k) {
    const {shape: [, height, width], values, top} = this.stages.get(stage);
    const size = height * width;
    return {stage, height, width, top, values: values.subarray(k * size, (k + 1) * size)};
  }

  mark(name, k) {
    for (const [each, {tiles}] of this.stages) {
      tiles.forEach((tile, i) => tile.setAttribute("aria-pressed", each === name && i === k));
    }
  }

  #build({name, maps: {shape: [count, height, width]}}, i, descriptions) {
    const block = document.createElement("div");
    block.className = "stage";
    const title = document.createElement("h3");
    title.textContent = `${name}: ${count} maps of ${height} × ${width}`;
    const hint = document.createElement("p");
    hint.className = "quiet";
    hint.textContent = explain(descriptions.find((each) => each.name === name)?.layer, i);
    const grid = document.createElement("div");
    grid.className = "tiles";
    grid.setAttribute("role", "group");
    grid.setAttribute("aria-label", `Feature maps of ${name}; move with the arrow keys`);
    const tiles = Array.from({length: count}, (_, k) => {
      const tile = document.createElement("button");
      tile.type = "button";
      tile.tabIndex = k === 0 ? 0 : -1; // one stop for the Tab key, arrows inside
      tile.title = `Map ${k}`;
      tile.setAttribute("aria-label", `Map ${k} of ${name}`);
      tile.setAttribute("aria-pressed", "false");
      tile.append(document.createElement("canvas"));
      tile.addEventListener("click", () => this.chosen(name, k));
      return tile;
    });
    grid.append(...tiles);
    grid.addEventListener("keydown", (event) => moveFocus(event, grid, tiles));
    this.stages.set(name, {tiles});
    block.append(title, hint, grid);
    return block;
  }
}

function explain(layer, i) {
  if (!layer) return "The output of this part of the network.";
  const kernel = layer.kernel.join(" × ");
  const pool = layer.pool.join(" × ");
  const looks = i === 0
    ? `Each filter slides a window of ${kernel} over the picture.`
    : `Each filter slides a window of ${kernel} over all ${layer.channels} maps above at once.`;
  return `${looks} ReLU drops what is negative; of every ${pool} the pool keeps the strongest.`;
}

function moveFocus(event, grid, tiles) {
  const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
  const steps = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns};
  const from = tiles.indexOf(document.activeElement);
  const to = event.key === "Home" ? 0 : event.key === "End" ? tiles.length - 1
    : from + (steps[event.key] ?? NaN);
  if (!(to in tiles)) return;
  event.preventDefault();
  tiles[from].tabIndex = -1;
  tiles[to].tabIndex = 0;
  tiles[to].focus();
}
