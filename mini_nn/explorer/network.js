// The library's formulas once more, so that the page needs no server: mini_nn/blocks.py, models/, profile.py and
// explorer/measures.py.  tests/site compares every row of every model, and of random settings, with the library's.
"use strict";

const BYTES = 4;
const prod = (shape) => shape.reduce((a, b) => a * b, 1);
const sum = (list, key) => list.reduce((total, item) => total + item[key], 0);
const most = (list, key) => Math.max(...list.map((item) => item[key]));

function roundChannels(channels, divisor = 8) {
  const rounded = Math.max(divisor, Math.floor(Math.trunc(channels + divisor / 2) / divisor) * divisor);
  return rounded < 0.9 * channels ? rounded + divisor : rounded;
}

// Rows as profile.Row: name, kind, shape of the output, params, macs.
function conv(kind, [h, w, c], out, k, stride) {
  const shape = [Math.ceil(h / stride), Math.ceil(w / stride), out];
  const params = k * k * (kind === "DepthwiseConv2D" ? c : c * out);
  return { name: "conv", kind, shape, params, macs: shape[0] * shape[1] * params };
}

const plain = (name, kind, shape, params = 0) => ({ name, kind, shape, params, macs: 0 });

function convNormAct(role, kind, inside, out, k, stride, act) {
  const first = conv(kind, inside, out, k, stride);
  const rows = [first, plain("norm", "BatchNorm", first.shape, 2 * out)];
  if (act) rows.push(plain("act", act, first.shape));
  return { role, kind, k, stride, inside, out: first.shape, rows };
}

function squeezeExcite(inside, squeezed, act) {
  const c = inside[2], both = c * squeezed;
  const reduce = { ...plain("reduce", "PointwiseConv2D", [1, 1, squeezed], both + squeezed), macs: both };
  const expand = { ...plain("expand", "PointwiseConv2D", [1, 1, c], both + c), macs: both };
  const rows = [plain("pool", "GlobalAveragePool", [1, 1, c]), reduce, plain("act", act, [1, 1, squeezed]), expand,
    plain("gate", "Sigmoid", [1, 1, c])];
  return { role: "se", kind: "Gate", k: 1, stride: 1, squeezed, inside, out: inside, rows };
}

function leaf(kind, inside, out, params, macs) {
  return { role: "", kind, k: 1, stride: 1, inside, out, rows: [{ name: "", kind, shape: out, params, macs }] };
}

// A block as blocks.Block: {in, out, t, k, s, se}; v1's has no t.
function blockSteps(b, shape, act) {
  if (b.t === undefined) {
    const wide = convNormAct("depthwise", "DepthwiseConv2D", shape, b.in, 3, b.s, act);
    return [wide, convNormAct("pointwise", "PointwiseConv2D", wide.out, b.out, 1, 1, act)];
  }
  const hidden = b.in * b.t, steps = [];
  const last = () => (steps.length ? steps.at(-1).out : shape);
  if (b.t !== 1) steps.push(convNormAct("expand", "PointwiseConv2D", shape, hidden, 1, 1, act));
  steps.push(convNormAct("depthwise", "DepthwiseConv2D", last(), hidden, b.k, b.s, act));
  if (b.se) steps.push(squeezeExcite(last(), Math.max(1, Math.trunc(b.in * b.se)), act));
  steps.push(convNormAct("project", "PointwiseConv2D", last(), b.out, 1, 1, null));
  return steps;
}

// Rows {t, k, s, c, n, se} -> a list of stages of settled blocks.
function unroll(rows, channels, width, repeats) {
  return rows.map((row, i) => {
    const out = roundChannels(row.c * width);
    const blocks = Array.from({ length: repeats(row.n, i) }, (_, j) => (
      { in: j ? out : channels, out, t: row.t, k: row.k, s: j ? 1 : row.s, se: row.se, row: i }));
    channels = out;
    return blocks;
  });
}

function layout(setting) {
  const { model, width, depth } = setting;
  if (model === "own") return ownLayout(readTable(setting.table).rows);
  if (model === "mobilenet_v1") {
    const cut = (c) => Math.max(8, Math.trunc(c * width));
    let channels = 32, row = 0;
    const stages = DATA.mobilenet_v1.map((stage) => stage.map(([c, s]) => {
      const block = { in: cut(channels), out: cut(c), s, row: row++ };
      channels = c;
      return block;
    }));
    return { stem: cut(32), stages, head: null, act: "ReLU6" };
  }
  const wide = roundChannels(32 * width);
  if (model === "mobilenet_v2") {
    const stages = unroll(DATA.mobilenet_v2, wide, width, (n) => n);
    return { stem: wide, stages, head: roundChannels(1280 * Math.max(1, width)), act: "ReLU6" };
  }
  const lite = model.includes("_lite"), rows = DATA.efficientnet.map((row) => ({ ...row, se: lite ? 0 : 0.25 }));
  const stem = lite ? 32 : wide, end = rows.length - 1;
  const stages = unroll(rows, stem, width, (n, i) => (lite && (i === 0 || i === end) ? n : Math.ceil(n * depth)));
  return { stem, stages, head: lite ? 1280 : roundChannels(1280 * width), act: lite ? "ReLU6" : "Swish" };
}

// setting {model, width, depth, size, classes, stemStride}; depth counts for EfficientNets alone.
function network(setting) {
  const { stem, stages, head, act } = layout(setting), spec = DATA.models[setting.model], parts = [];
  let shape = [setting.size, setting.size, 3];
  const add = (name, steps, more = {}) => {
    parts.push({ name, steps, inside: shape, ...more });
    shape = steps.at(-1).out;
  };
  add("stem", [convNormAct("", "Conv2D", shape, stem, 3, setting.stemStride, act)]);
  stages.forEach((blocks, i) => blocks.forEach((block, j) => {
    const skips = block.t !== undefined && block.s === 1 && block.in === block.out;
    add(`stages.${i}.${j}`, blockSteps(block, shape, act), { block, skips, stage: i });
  }));
  if (head) add("head", [convNormAct("", "PointwiseConv2D", shape, head, 1, 1, act)]);
  const features = shape[2], weights = (features + 1) * setting.classes;
  add("pool", [leaf("GlobalAveragePool", shape, [features], 0, 0)]);
  add("classifier", [leaf("Dense", shape, [setting.classes], weights, features * setting.classes)]);
  measure(parts);
  return { setting, parts, rows: profileRows(parts, spec), ...totals(parts) };
}

// measures.parts: what is held, what is moved, what has been seen.
function measure(parts) {
  let field = 1, jump = 1;
  for (const part of parts) {
    const waits = part.skips ? prod(part.inside) : 0;
    part.steps.forEach((step, i) => {
      const a = prod(step.inside), b = prod(step.out), gate = step.kind === "Gate";
      field += (step.k - 1) * jump;
      jump *= step.stride;
      step.field = field;
      step.params = sum(step.rows, "params");
      step.macs = sum(step.rows, "macs");
      step.held = (gate ? a : a + b) + (i ? waits : 0);
      step.moved = BYTES * ((gate ? 3 * a : a + b) + step.params);
    });
    const last = part.steps.at(-1), ends = prod(part.inside) + prod(last.out);
    last.moved += BYTES * waits;
    part.params = sum(part.steps, "params");
    part.macs = sum(part.steps, "macs");
    part.opByOp = most(part.steps, "held");
    part.fused = ends;
    part.movedFused = BYTES * (ends + part.params);
    part.field = field;
  }
}

function totals(parts) {
  const macs = sum(parts, "macs"), steps = parts.flatMap((part) => part.steps);
  const moved = sum(steps, "moved"), movedFused = sum(parts, "movedFused");
  return { params: sum(parts, "params"), macs, opByOp: most(parts, "opByOp"), fused: most(parts, "fused"), moved, movedFused,
    field: parts.at(-1).field, intensity: macs / moved, intensityFused: macs / movedFused };
}

// profile.profile(...).rows: the same names, in the same order.
function profileRows(parts, spec) {
  const blocks = parts.filter((part) => part.block), rows = [];
  for (const part of parts) {
    if (part.name === "classifier" && spec.dropout) rows.push(plain("dropout", "Dropout", part.inside));
    for (const step of part.steps) {
      for (const row of step.rows) {
        rows.push({ ...row, name: [part.name, step.role, row.name].filter(Boolean).join(".") });
      }
    }
    if (part.skips && spec.drop_path && part !== blocks[0]) {
      rows.push(plain(`${part.name}.drop`, "StochasticDepth", part.steps.at(-1).out));
    }
  }
  return rows;
}
