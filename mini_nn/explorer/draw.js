// SVG by hand: boxes to scale, and the roofline.
const SVG = "http://www.w3.org/2000/svg";
const ACROSS = 0.35; // how far the image's width goes back, for each pixel

function make(space, tag, attributes, children) {
  const node = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
const el = (tag, attributes = {}, ...children) => make(null, tag, attributes, children);
const svg = (tag, attributes = {}, ...children) => make(SVG, tag, attributes, children);

const integer = (n) => n.toLocaleString("en-US");
const short = (n) => (n < 1e4 ? integer(n) : n < 1e6 ? `${(n / 1e3).toFixed(1)} k` : n < 1e9 ? `${(n / 1e6).toFixed(1)} M` : `${(n / 1e9).toFixed(2)} G`);
const ratio = (n) => (n && n < 0.1 ? n.toPrecision(2) : n.toFixed(n < 10 ? 2 : n < 100 ? 1 : 0));
const times = (shape) => shape.join(" x ");
const bytes = (numbers) => (numbers * BYTES < 2 ** 20 ? `${(numbers * BYTES / 2 ** 10).toFixed(1)} KiB` : `${(numbers * BYTES / 2 ** 20).toFixed(2)} MiB`);

// A tensor (h, w, c): c to the right, h upwards, w backwards.  Its size on the screen is {w, h}.
function box([h, w, c], scale, x = 0, y = 0) {
  const front = c * scale.channel, high = h * scale.pixel, back = w * scale.pixel * ACROSS;
  const points = (...list) => list.map(([a, b]) => `${(x + a).toFixed(2)},${(y + b).toFixed(2)}`).join(" ");
  const group = svg("g", { class: "box" },
    svg("polygon", { class: "front", points: points([0, back], [front, back], [front, back + high], [0, back + high]) }),
    svg("polygon", { class: "top", points: points([0, back], [back, 0], [front + back, 0], [front, back]) }),
    svg("polygon", { class: "side", points: points([front, back], [front + back, 0], [front + back, high], [front, back + high]) }));
  return { group, w: front + back, h: high + back };
}

function boxAlone(shape, scale) {
  const { group, w, h } = box(shape, scale, 1, 1);
  return svg("svg", { width: Math.max(w + 2, 24).toFixed(1), height: (h + 2).toFixed(1), "aria-hidden": "true" }, group);
}

// The steps of a block one after the other, all to one scale that fits.
function lung(part) {
  const tensors = [part.inside, ...part.steps.map((step) => step.out)].map((s) => (s.length === 3 ? s : [1, 1, s[0]]));
  const tall = Math.max(...tensors.map(([h, w]) => h + w * ACROSS)), gap = 74;
  const pixel = Math.min(1, 120 / tall), room = 620 - gap * part.steps.length - sum(tensors.map((t) => ({ w: t[1] * pixel * ACROSS })), "w");
  const channel = Math.min(0.5, Math.max(room, 60) / sum(tensors.map((t) => ({ c: t[2] })), "c"));
  const drawing = svg("g"), base = tall * pixel + 8;
  let x = 4, wide = 0;
  tensors.forEach((shape, i) => {
    const { w, h } = box(shape, { pixel, channel });
    drawing.append(box(shape, { pixel, channel }, x, base - h).group);
    const middle = x + w / 2;
    drawing.append(svg("text", { x: middle, y: base + 16, "text-anchor": "middle" }, times(shape)));
    x += w + gap;
    wide = middle + 45;
    const step = part.steps[i];
    if (!step) return;
    drawing.append(svg("text", { x: x - gap / 2, y: base - 16, "text-anchor": "middle" }, step.role || step.kind),
      svg("path", { class: "arrow", d: `M${x - gap + 10} ${base - 6}h${gap - 22}m-6 -4l6 4l-6 4` }));
  });
  const view = `-30 0 ${Math.max(wide, x - gap) + 34} ${base + 24}`;
  return svg("svg", { viewBox: view, class: "lung", role: "img", "aria-label": part.steps.map((s) => `${s.role || s.kind}: ${times(s.inside)} to ${times(s.out)}`).join(", then ") }, drawing);
}

const MARKS = { // shape and word, never colour alone
  Conv2D: ["whole convolution", "M-5-5h10v10h-10z"], PointwiseConv2D: ["pointwise", "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z"],
  DepthwiseConv2D: ["depthwise", "M0-6L6 5L-6 5z"], Gate: ["squeeze-excite", "M0-6L6 0L0 6L-6 0z"],
  Dense: ["classifier", "M-5-5L5 5M-5 5L5-5"], fused: ["whole block, fused", "M-4-6h8M0-6v12M-4 6h8"],
};
const ROOF = { left: 56, right: 620, top: 14, bottom: 268, x0: 0.0002, x1: 2000 };

// Every step where its intensity puts it, under the machine's roof; the chosen part's marks stand out.
function roofline(net, machine, chosen) {
  const peak = machine.gflops / 2, roof = (x) => Math.min(peak, machine.gbs * x);
  const y1 = 10 ** Math.ceil(Math.log10(peak * 1.2)), y0 = y1 / 1e6;
  const span = (v, a, b) => (Math.log10(v) - Math.log10(a)) / (Math.log10(b) - Math.log10(a));
  const px = (v) => ROOF.left + (ROOF.right - ROOF.left) * Math.min(1, Math.max(0, span(v, ROOF.x0, ROOF.x1)));
  const py = (v) => ROOF.bottom - (ROOF.bottom - ROOF.top) * Math.min(1, Math.max(0, span(v, y0, y1)));
  const axes = svg("g", { class: "axes" }), marks = svg("g");
  for (const v of [0.001, 0.01, 0.1, 1, 10, 100, 1000]) {
    axes.append(svg("path", { d: `M${px(v)} ${ROOF.top}V${ROOF.bottom}` }), svg("text", { x: px(v), y: ROOF.bottom + 15, "text-anchor": "middle" }, String(v)));
  }
  for (let v = y0; v <= y1 * 1.01; v *= 10) {
    axes.append(svg("path", { d: `M${ROOF.left} ${py(v)}H${ROOF.right}` }), svg("text", { x: ROOF.left - 6, y: py(v) + 4, "text-anchor": "end" }, String(+v.toPrecision(1))));
  }
  axes.append(svg("text", { x: (ROOF.left + ROOF.right) / 2, y: ROOF.bottom + 32, "text-anchor": "middle" }, "multiply-adds a byte"),
    svg("text", { transform: `translate(12 ${(ROOF.top + ROOF.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, "10^9 multiply-adds a second"));
  const ridge = peak / machine.gbs;
  const line = svg("path", { class: "roofline", d: `M${px(ROOF.x0)} ${py(roof(ROOF.x0))}L${px(ridge)} ${py(peak)}H${ROOF.right}` });
  const mark = (kind, x, here) => marks.append(svg("path", { class: here ? "mark here" : "mark", d: MARKS[kind][1],
    transform: `translate(${px(x).toFixed(1)} ${py(roof(x)).toFixed(1)}) scale(${here ? 1.5 : 0.8})` }));
  const all = net.parts.filter((part) => part.macs);
  for (const part of [...all.filter((p) => p !== chosen), ...all.filter((p) => p === chosen)]) {
    part.steps.forEach((step) => mark(step.kind, step.macs / step.moved, part === chosen));
    if (part.steps.length > 1) mark("fused", part.macs / part.movedFused, part === chosen);
  }
  const label = `Roofline of this machine; left of ${ratio(ridge)} multiply-adds a byte a step waits for memory. The numbers are in the table below.`;
  return svg("svg", { viewBox: "0 0 640 306", role: "img", "aria-label": label }, axes, line, marks);
}

const atRoof = (machine, macs, moved) => Math.max(macs / (machine.gflops * 5e8), moved / (machine.gbs * 1e9));
