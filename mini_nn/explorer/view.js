// A panel: what was chosen, its sums, its blocks, the block looked at.
const SCALE = { pixel: 0.6, channel: 0.15 };
const BARS = {
  "multiply-adds": (p) => p.macs, parameters: (p) => p.params, "memory, op by op": (p) => p.opByOp, "memory, fused": (p) => p.fused,
  "receptive field": (p) => p.field, "multiply-adds a byte": (p) => p.macs / sum(p.steps, "moved"), "the same, fused": (p) => p.macs / p.movedFused,
};
const FAMILIES = { mobilenet: "MobileNet", efficientnet_b: "EfficientNet", efficientnet_lite: "EfficientNet-Lite", own: "your own" };
const START = { model: "mobilenet_v2", width: 1, depth: 1, size: 224, classes: 1000, stemStride: 2, table: EXAMPLE };

const published = (model) => {
  const spec = DATA.models[model];
  return { model, width: spec.width_mult, depth: spec.depth_mult ?? 1, size: spec.resolution };
};
// The paper's formula, which the published B1 to B7 only come close to.
const compound = (phi) => ({ model: "efficientnet_b0", depth: +(1.2 ** phi).toFixed(4), width: +(1.1 ** phi).toFixed(4), size: Math.round(224 * 1.15 ** phi) });

function pythonLines(setting) {
  if (setting.model === "own") return ownLines(setting);
  const { model, width, depth, size, classes, stemStride } = setting;
  const own = published(model), words = [`"${model}"`];
  if (classes !== 1000) words.push(`num_classes=${classes}`);
  if (width !== own.width) words.push(`width_mult=${width}`);
  if (depth !== own.depth) words.push(`depth_mult=${depth}`);
  if (stemStride !== 2) words.push(`stem_stride=${stemStride}`);
  return `from mini_nn import models, profile\nmodel = models.build(${words.join(", ")})\nprint(profile.profile(model, (${size}, ${size}, 3)))`;
}

// What the paper's table says of the row that a block comes from.
function paperRow({ setting: { model, table } }, { block }) {
  if (!block) return "";
  if (model === "own") {
    const row = readTable(table).rows[block.row];
    return `your table, line ${block.row + 1}: ${COLUMNS.map((key) => `${key} ${row[key]}`).join(", ")}`;
  }
  if (model === "mobilenet_v1") {
    const [c, s] = DATA.mobilenet_v1.flat()[block.row];
    return `MobileNet, table 1, pair ${block.row + 1}: Conv dw / s${s}, then Conv 1 x 1, ${c} channels`;
  }
  const { t, k, s, c, n } = model === "mobilenet_v2" ? DATA.mobilenet_v2[block.row] : DATA.efficientnet[block.row];
  return model === "mobilenet_v2" ? `MobileNetV2, table 2: t ${t}, c ${c}, n ${n}, s ${s}`
    : `EfficientNet, table 1, stage ${block.row + 2}: MBConv${t}, k ${k} x ${k}, ${c} channels, ${n} layer${n > 1 ? "s" : ""}, stride ${s}`;
}

const describe = (part) => `${part.name}, ${times(part.steps.at(-1).out)}, ${integer(part.params)} parameters, ${integer(part.macs)} multiply-adds`
  + (part.skips ? ", with a shortcut" : "");

function table(caption, head, rows) {
  return el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, ...head.map((word) => el("th", { scope: "col" }, word)))),
    el("tbody", {}, ...rows.map(([first, ...rest]) => el("tr", {}, el("th", { scope: "row" }, first), ...rest.map((cell) => el("td", {}, cell))))));
}

class Panel {
  constructor(number, setting) {
    this.root = document.getElementById("panel").content.cloneNode(true).firstElementChild;
    this.root.setAttribute("aria-label", `network ${number}`);
    this.form = this.find("form").elements;
    this.bars = this.find("[name=bars]");
    for (const [prefix, label] of Object.entries(FAMILIES)) {
      const names = Object.keys(DATA.models).filter((name) => name.startsWith(prefix));
      this.form.model.append(el("optgroup", { label }, ...names.map((name) => el("option", {}, name))));
    }
    this.bars.append(...Object.keys(BARS).map((name) => el("option", {}, name)));
    this.find("form").addEventListener("input", (event) => this.typed(event.target.name));
    this.find("form").addEventListener("submit", (event) => event.preventDefault());
    this.bars.addEventListener("change", () => this.drawBlocks());
    this.find(".copy").addEventListener("click", (event) => copy(this.find("code").textContent, event.target));
    const stages = this.find(".stages");
    for (const kind of ["pointerover", "focusin"]) stages.addEventListener(kind, (event) => this.look(event.target.closest("button")));
    stages.addEventListener("keydown", (event) => this.walk(event));
    this.set(setting);
  }

  find(what) { return this.root.querySelector(what); }

  set(setting) {
    for (const [name, value] of Object.entries(setting)) this.form[name].value = value;
    this.draw();
  }

  typed(name) {
    const phi = this.form.phi;
    if (name === "model") this.set({ ...published(this.form.model.value), phi: "" });
    else if (name === "phi" && phi.value !== "" && phi.validity.valid) this.set(compound(+phi.value));
    else {
      if (["width", "depth", "size"].includes(name)) phi.value = "";
      this.draw();
    }
    remember();
  }

  get setting() {
    const numbers = ["width", "depth", "size", "classes", "stemStride"].map((name) => [name, +this.form[name].value]);
    const own = this.form.model.value === "own" ? { table: this.form.table.value } : {};
    return { model: this.form.model.value, ...Object.fromEntries(numbers), ...own };
  }

  get machine() { return { gflops: +this.form.gflops.value, gbs: +this.form.gbs.value }; }

  // The first field that holds no number of its kind, in words; browsers' step counts only for whole numbers.
  complaint() {
    for (const input of this.find("form").querySelectorAll("input")) {
      const { badInput, rangeUnderflow, rangeOverflow, valueMissing } = input.validity;
      const broken = ["size", "classes"].includes(input.name) && !Number.isInteger(+input.value);
      const wrong = badInput || rangeUnderflow || rangeOverflow || valueMissing || broken;
      input.setAttribute("aria-invalid", wrong);
      if (wrong) return `${input.parentNode.textContent.trim()}: a ${["size", "classes"].includes(input.name) ? "whole " : ""}number ${input.max ? `from ${input.min} to ${input.max}` : "above 0"}, please`;
    }
    return this.form.model.value === "own" ? readTable(this.form.table.value).wrong ?? "" : "";
  }

  draw() {
    const { model } = this.form, spec = DATA.models[model.value];
    this.form.depth.disabled = spec.depth_mult === null;
    this.form.width.disabled = model.value === "own";
    this.form.table.parentNode.hidden = model.value !== "own";
    this.form.phi.disabled = spec.depth_mult === null || model.value.includes("_lite");
    this.find(".wrong").textContent = this.complaint();
    if (this.complaint()) return;
    const name = this.part?.name;
    this.net = network(this.setting);
    this.part = this.net.parts.find((part) => part.name === name) ?? this.net.parts[1];
    this.find("code").textContent = pythonLines(this.setting);
    this.drawSums();
    this.drawBlocks();
    this.drawTable();
    this.drawChosen();
  }

  drawSums() {
    const { net, machine } = this, steps = net.parts.flatMap((part) => part.steps);
    const best = (list, moved) => (1e3 * list.reduce((s, x) => s + atRoof(machine, x.macs, x[moved]), 0)).toFixed(2);
    const rows = [
      ["parameters", integer(net.params), `${bytes(net.params)} at 4 bytes`], ["multiply-adds", integer(net.macs), "for one image"],
      ["memory, op by op", bytes(net.opByOp), `${integer(net.opByOp)} numbers`], ["memory, fused", bytes(net.fused), `${integer(net.fused)} numbers`],
      ["receptive field", `${net.field} x ${net.field}`, `of ${this.setting.size} x ${this.setting.size} pixels`],
      ["multiply-adds a byte", ratio(net.intensity), `${ratio(net.intensityFused)} fused`],
      ["at the roof", `${best(steps, "moved")} ms`, `${best(net.parts, "movedFused")} ms fused`],
    ];
    this.find(".sums").replaceChildren(...rows.map(([word, value, more]) => el("div", {}, el("dt", {}, word), el("dd", {}, value, " ", el("small", {}, more)))));
  }

  drawBlocks() {
    const value = BARS[this.bars.value], top = Math.max(...this.net.parts.map(value)), groups = new Map();
    for (const part of this.net.parts) {
      const key = part.stage === undefined ? part.name : `stage ${part.stage}`;
      groups.set(key, [...(groups.get(key) ?? []), part]);
    }
    const button = (part) => {
      const out = part.steps.at(-1).out, b = part.block, shown = out.length === 3 ? out : [1, 1, out[0]];
      const words = b ? `k${b.k ?? 3}${b.s > 1 ? ` s${b.s}` : ""}${b.se ? " se" : ""}${part.skips ? " +" : ""}` : "";
      const bar = el("span", { class: "bar", style: `height: ${(40 * value(part) / top).toFixed(1)}px` });
      return el("button", { type: "button", "data-name": part.name, "aria-label": describe(part) }, boxAlone(shown, SCALE), el("small", {}, words), el("span", { class: "bars" }, bar));
    };
    this.find(".stages").replaceChildren(...[...groups].map(([name, parts]) => el("li", {},
      el("span", { class: "stage" }, name, " ", el("small", {}, times(parts.at(-1).steps.at(-1).out))), el("div", { class: "blocks" }, ...parts.map(button)))));
    this.find(".legend").textContent = `To scale: ${(10 / SCALE.pixel).toFixed(0)} pixels of a map are as long as ${(10 / SCALE.channel).toFixed(0)} channels. `
      + `k3: filter 3 x 3; s2: stride 2; se: squeeze-and-excitation; +: shortcut. Longest bar: ${short(+top.toPrecision(4))}.`;
    this.mark();
  }

  drawTable() {
    const { net, machine } = this, head = ["block", "output", "parameters", "multiply-adds", "held, op by op", "held, fused", "field", "multiply-adds a byte", "fused", "ms at the roof"];
    const rows = net.parts.map((p) => [p.name, times(p.steps.at(-1).out), integer(p.params), integer(p.macs), integer(p.opByOp), integer(p.fused), integer(p.field),
      ratio(p.macs / sum(p.steps, "moved")), ratio(p.macs / p.movedFused), (1e3 * p.steps.reduce((s, x) => s + atRoof(machine, x.macs, x.moved), 0)).toFixed(3)]);
    this.find("details .wide").replaceChildren(table("held: numbers that must be there at once", head, rows));
  }

  drawChosen() {
    const { part, net } = this, rows = part.steps.map((s) => [s.role || s.kind,
      s.kind === "Gate" ? `${s.out[2]}-${s.squeezed}-${s.out[2]}` : `${s.k} x ${s.k}${s.stride > 1 ? `, stride ${s.stride}` : ""}`, times(s.out), integer(s.params), integer(s.macs), integer(s.held), ratio(s.macs / s.moved)]);
    const words = [paperRow(net, part), part.skips ? "The block's input is added to its output." : ""].filter(Boolean);
    this.find(".detail").replaceChildren(el("h2", {}, part.name), ...words.map((word) => el("p", {}, word)),
      el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "its steps" }, lung(part), table(`${times(part.inside)} goes in`, ["step", "filter", "output", "parameters", "multiply-adds", "held", "a byte"], rows)),
      el("p", {}, `Held at once: ${bytes(part.opByOp)} op by op, ${bytes(part.fused)} fused. Multiply-adds a byte: ${ratio(part.macs / sum(part.steps, "moved"))} op by op, ${ratio(part.macs / part.movedFused)} fused. `
        + `A pixel of its output has seen ${integer(part.field)} x ${integer(part.field)} pixels.`));
    const legend = Object.values(MARKS).map(([word, d]) => el("span", {}, svg("svg", { width: 14, height: 14, viewBox: "-7 -7 14 14", "aria-hidden": "true" }, svg("path", { class: "mark", d })), word));
    const drawn = el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "roofline" }, roofline(net, this.machine, part));
    this.find(".roof").replaceChildren(drawn, el("figcaption", {}, `The roofline; ${part.name} is drawn larger. `, ...legend));
    this.mark();
  }

  mark() {
    for (const button of this.root.querySelectorAll(".blocks button")) button.setAttribute("aria-pressed", button.dataset.name === this.part.name);
  }

  look(button) {
    if (!button || button.dataset.name === this.part.name) return;
    this.part = this.net.parts.find((part) => part.name === button.dataset.name);
    this.drawChosen();
  }

  walk(event) {
    const all = [...this.root.querySelectorAll(".blocks button")], here = all.indexOf(event.target);
    const to = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: all.length - 1 }[event.key];
    if (here < 0 || to === undefined) return;
    event.preventDefault();
    all[to]?.focus();
  }
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "copied";
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling);
    button.textContent = "marked: copy with Ctrl-C";
  }
  setTimeout(() => { button.textContent = "copy"; }, 2000);
}

// What was chosen is in the address, so that it can be sent: #model=mobilenet_v2&width=0.5; a second network after a semicolon.
const panels = [];
const remember = () => location.replace(`#${panels.map((panel) => new URLSearchParams(panel.setting)).join(";")}`);

function fromAddress() {
  const known = (text) => {
    const given = Object.fromEntries(new URLSearchParams(text)), own = Object.hasOwn(DATA.models, given.model) ? published(given.model) : {};
    const numbers = Object.keys(START).filter((name) => !["model", "table"].includes(name) && name in given).map((name) => [name, +given[name]]);
    return { ...START, ...own, ...Object.fromEntries(numbers), table: given.table ?? EXAMPLE };
  };
  return location.hash.includes("=") ? location.hash.slice(1).split(";").slice(0, 2).map(known) : [START];
}

function add(setting) {
  const panel = new Panel(panels.length + 1, setting);
  panels.push(panel);
  document.getElementById("networks").append(panel.root);
}

function arrange() {
  document.body.classList.toggle("two", panels.length > 1);
  document.getElementById("second").textContent = panels.length > 1 ? "take the second network away" : "put a second network beside it";
}

function second() {
  if (panels.length < 2) add({ ...START, ...published("efficientnet_b0") });
  else panels.pop().root.remove();
  arrange();
  remember();
}

document.getElementById("second").addEventListener("click", second);
fromAddress().forEach(add);
arrange();
