// Numbers to colours, and arrays to small canvases that CSS enlarges pixel by pixel.

// Dark to bright, so that more is brighter also without seeing colours.
const BRIGHT = scale([[13, 16, 28], [46, 52, 122], [32, 120, 150], [72, 186, 120], [253, 240, 160]]);
// Purple takes away, white is nothing, orange adds: as in the pictures of cnnzoo.plots.
const SIGNED = scale([[84, 50, 143], [184, 161, 217], [247, 247, 247], [242, 166, 90], [190, 84, 8]]);

function scale(stops) {
  return Array.from({length: 256}, (_, i) => {
    const at = (i / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    return stops[low].map((from, c) => Math.round(from + (stops[low + 1][c] - from) * (at - low)));
  });
}

export function unpack({shape, data}, Type) {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  return {shape, values: Type === Uint8Array ? bytes : new Type(bytes.buffer)};
}

// values: anything with numbers; colour: value → [r, g, b]
function paint(canvas, height, width, colour) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    const [red, green, blue] = colour(i);
    image.data.set([red, green, blue, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

// A picture as the network saw it: uint8 (C, H, W), C = 1 or 3.
export function paintPicture(canvas, {shape: [channels, height, width], values}) {
  const size = height * width;
  const at = (channel, i) => values[(channel % channels) * size + i];
  paint(canvas, height, width, (i) => [at(0, i), at(1, i), at(2, i)]);
}

// One map of numbers from 0 to top.
export function paintMap(canvas, values, height, width, top) {
  const factor = top > 0 ? 255 / top : 0;
  paint(canvas, height, width, (i) => BRIGHT[clamp(values[i] * factor)]);
}

// The colours of a number between −limit and limit, and of text that can be read on it.
export function signed(value, limit) {
  const colour = SIGNED[clamp(127.5 + (127.5 * value) / (limit || 1))];
  return {ground: `rgb(${colour.join(" ")})`, text: readable(colour)};
}

// The same for a number between 0 (or below) and top.
export function bright(value, top) {
  const colour = BRIGHT[clamp((255 * value) / (top || 1))];
  return {ground: `rgb(${colour.join(" ")})`, text: readable(colour)};
}

// Black or white, whichever stands out more: at least 4.5 to 1 on any ground (WCAG 2.2).
function readable(colour) {
  const [red, green, blue] = colour.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}

function clamp(value) {
  return Math.max(0, Math.min(255, Math.round(value)));
}
