// What the network got, what was odd about it, and what it answered.

import {paintPicture, unpack} from "./painting.js";

const $ = (id) => document.getElementById(id);
let speaking = 0;

export function makeBars(classes) {
  const rows = classes.map((name) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    const bar = document.createElement("td");
    const track = document.createElement("div");
    const fill = document.createElement("div");
    track.className = "track";
    fill.className = "fill";
    track.append(fill);
    bar.append(track);
    bar.setAttribute("aria-hidden", "true");
    const number = document.createElement("td");
    row.append(head, bar, number);
    return row;
  });
  $("bars").tBodies[0].replaceChildren(...rows);
}

export function showAnswer(answer) {
  const seen = unpack(answer.seen, Uint8Array);
  paintPicture($("seen"), seen);
  $("seen-caption").textContent = `${answer.before ? "repaired: " : ""}${size(seen.shape)}`;
  $("before-figure").hidden = !answer.before;
  if (answer.before) paintPicture($("before"), unpack(answer.before, Uint8Array));
  showWarnings(answer.warnings);

  $("label").textContent = answer.label;
  $("peek").textContent = `${answer.label}: ${percent(answer.probability)}`;
  $("label").classList.toggle("long", answer.label.length > 3);
  [...$("bars").rows].forEach((row, i) => {
    const [name, probability] = answer.probabilities[i];
    row.classList.toggle("first", name === answer.label);
    row.querySelector(".fill").style.width = `${100 * probability}%`;
    row.cells[2].textContent = percent(probability);
  });
  $("time").textContent = `Answered in ${answer.milliseconds} ms.`;
  speakSoon(`${answer.label}, ${Math.round(100 * answer.probability)} percent`);
  return seen;
}

export function clearAnswer() {
  for (const id of ["seen", "before"]) $(id).width = $(id).height = 28;
  $("before-figure").hidden = true;
  $("warnings").replaceChildren();
  $("label").textContent = "?";
  $("peek").textContent = "";
  $("label").classList.remove("long");
  $("time").textContent = "";
  for (const row of $("bars").rows) {
    row.classList.remove("first");
    row.querySelector(".fill").style.width = "0";
    row.cells[2].textContent = "";
  }
}

export function size([channels, height, width]) {
  return `${height} × ${width} pixels${channels === 3 ? " in colour" : ""}`;
}

function percent(part) {
  return `${(100 * part).toFixed(1)} %`;
}

function showWarnings(warnings) {
  const items = warnings.map((warning) => {
    const name = document.createElement("b");
    name.textContent = warning.name + (warning.fixed ? " – repaired" : "");
    const item = document.createElement("li");
    item.className = warning.fixed ? "fixed" : "";
    item.append(name, `: ${warning.message}.`);
    return item;
  });
  if (!items.length) {
    const item = document.createElement("li");
    const name = document.createElement("b");
    name.textContent = "fine";
    item.className = "fine";
    item.append(name, ": it looks like the training pictures.");
    items.push(item);
  }
  $("warnings").replaceChildren(...items);
}

// A screen reader hears the answer once the pen rests, not twenty times a second.
function speakSoon(sentence) {
  clearTimeout(speaking);
  speaking = setTimeout(() => { $("spoken").textContent = sentence; }, 700);
}
