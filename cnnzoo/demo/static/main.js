// Everything meets here: paper, questions, answer, maps and the one map that is taken apart.

import {ask, newestOnly} from "./asking.js";
import {clearAnswer, makeBars, showAnswer, size} from "./answer.js";
import {Detail} from "./detail.js";
import {Paper} from "./drawing.js";
import {Maps} from "./maps.js";

const $ = (id) => document.getElementById(id);

let networks = [];
let maxBytes = 0;
let file = null; // a chosen picture; null: the drawing
let latest = null; // the last answer, with the picture it was about
let choice = null; // {stage, map, row, column} that is taken apart; row null: the strongest

const paper = new Paper($("paper"), () => {
  file = null;
  update();
});
const maps = new Maps((stage, map) => {
  choice = {stage, map, row: null, column: null};
  takeApart(true);
});
const detail = new Detail((row, column) => {
  choice = {...choice, row, column};
  takeApart(false);
});

const network = () => networks.find((each) => each.name === $("network").value);

function layerOf(stage) {
  const {stages, scaled} = network();
  const i = stages.findIndex((each) => each.name === stage);
  const first = i === 0 && scaled.length === stages[0].layer?.channels; // sees the picture itself
  return stages[i]?.layer && {
    ...stages[i].layer,
    inputs: first && scaled.length === 3 ? ["red", "green", "blue"] : null,
    scaled: first && scaled.length === 1 ? scaled[0] : null,
  };
}

// Where a stage's input can be followed back to the picture, it is the output of the one before.
function stageBefore(stage) {
  const names = network().stages.map((each) => each.name);
  return names[names.indexOf(stage) - 1];
}

const update = newestOnly(async () => {
  if (!file && paper.blank) {
    reset();
    return;
  }
  const query = new URLSearchParams({network: network().name, repair: $("repair").checked ? 1 : 0});
  const asked = network();
  const body = file ?? await paper.blob(); // the newest drawing, not the one that asked first
  query.set("drawn", file ? 0 : 1);
  const answer = await ask(`api/answer?${query}`, {method: "POST", body});
  if (asked !== network() || (!file && paper.blank)) return; // overtaken: another is on its way
  if (answer.error) {
    reset();
    say(answer.error);
    return;
  }
  say("");
  const seen = showAnswer(answer);
  latest = {seen, packed: answer.seen.data};
  maps.show(answer.stages, network().stages);
  if (choice) await takeApart(false);
});

const takeApart = newestOnly(async (scroll) => {
  const asked = choice;
  if (!asked || !latest) return;
  const layer = layerOf(asked.stage);
  maps.mark(asked.stage, asked.map);
  if (layer) {
    const {seen, packed} = latest;
    const found = await ask("api/window", {
      method: "POST",
      body: JSON.stringify({network: network().name, seen: packed, ...asked}),
    });
    if (choice !== asked || !latest) return;
    if (found.error) {
      say(found.error);
      return;
    }
    const before = found.picture_box ? stageBefore(asked.stage) : null;
    detail.show(found, seen, maps.one(asked.stage, asked.map), layer,
      before && ((map) => maps.one(before, map)));
  } else {
    detail.showNote(asked.stage, asked.map,
      "This stage is more than one convolution and its pool, so there is no single kernel to show.");
  }
  if (scroll) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    $("detail").scrollIntoView({behavior: calm ? "auto" : "smooth", block: "start"});
    $("detail-title").focus({preventScroll: true});
  }
});

function say(sentence) {
  if ($("message").textContent !== sentence) $("message").textContent = sentence;
  $("message").hidden = !sentence;
}

function reset() {
  say("");
  latest = null; // the choice stays: the next drawing shows the same map
  clearAnswer();
  maps.clear();
  detail.hide();
}

async function choose(chosen) {
  if (!chosen) return;
  if (chosen.size > maxBytes) {
    paper.clear();
    file = null;
    reset();
    say(`This picture is too large: at most ${maxBytes / 1e6} MB are taken. Make it smaller.`);
    return;
  }
  file = chosen;
  await paper.show(chosen);
  update();
}

function changeNetwork() {
  choice = null;
  reset();
  const {about, classes, input} = network();
  $("about").textContent = `${about} It knows ${classes.join(", ")}.`;
  $("seen-caption").textContent = size(input);
  makeBars(classes);
  update();
}

$("clear").addEventListener("click", () => {
  file = null;
  paper.clear();
  reset();
});
$("example").addEventListener("click", () => paper.drawExample());
$("file").addEventListener("change", (event) => {
  choose(event.target.files[0]);
  event.target.value = ""; // the same file can be chosen again
});
$("repair").addEventListener("change", () => update());
$("network").addEventListener("change", changeNetwork);
addEventListener("paste", (event) => choose(event.clipboardData?.files[0]));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
for (const name of ["dragleave", "drop"]) {
  addEventListener(name, () => document.body.classList.remove("dropping"));
}
addEventListener("drop", (event) => {
  event.preventDefault();
  choose(event.dataTransfer.files[0]);
});

const known = await ask("api/networks");
if (known.error) {
  say(known.error);
} else {
  networks = known.networks;
  maxBytes = known.max_bytes;
  $("network").replaceChildren(...networks.map(({name}) => new Option(name, name)));
  changeNetwork();
}
