// A student's own table: a row a line, "t k s c n se", as text.
DATA.models.own = { resolution: 224, dropout: 0.2, drop_path: 0, width_mult: 1, depth_mult: null };
const COLUMNS = ["t", "k", "s", "c", "n", "se"];
const LIMITS = { t: [1, 64], k: [1, 31], s: [1, 8], c: [1, 8192], n: [1, 64], se: [0, 1] };
const EXAMPLE = DATA.mobilenet_v2.map((row) => COLUMNS.map((key) => row[key]).join(" ")).join("\n");

// Text -> {rows} or {wrong: a sentence}.  Commas, bars and brackets may stand between the numbers; se may be left out.
function readTable(text) {
  const lines = text.split(/[\n;]/).map((line) => line.replace(/[,|()[\]]/g, " ").trim()).filter(Boolean), rows = [];
  if (!lines.length || lines.length > 32) return { wrong: "table: between 1 and 32 lines of t k s c n se, please" };
  for (const [i, line] of lines.entries()) {
    const numbers = line.split(/\s+/).map(Number), row = { se: 0, ...Object.fromEntries(numbers.map((v, j) => [COLUMNS[j], v])) };
    const bad = COLUMNS.find((key) => !(row[key] >= LIMITS[key][0] && row[key] <= LIMITS[key][1]) || (key !== "se" && !Number.isInteger(row[key])));
    if (numbers.length > 6 || bad) return { wrong: `table, line ${i + 1} ("${line}"): t k s c n se, please${bad ? `; ${bad} is a number from ${LIMITS[bad].join(" to ")}` : ""}` };
    rows.push(row);
  }
  return { rows };
}

const actOf = (rows) => (rows.some((row) => row.se) ? "Swish" : "ReLU6");

// models.inverted.build_inverted's stages: the channels as they are typed, the stem's 32, the head's 1280.
function ownLayout(rows) {
  let channels = 32;
  const stages = rows.map((row, i) => Array.from({ length: row.n }, (_, j) => {
    const block = { in: channels, out: row.c, t: row.t, k: row.k, s: j ? 1 : row.s, se: row.se, row: i };
    channels = row.c;
    return block;
  }));
  return { stem: 32, stages, head: 1280, act: actOf(rows) };
}

function ownLines({ table, size, classes, stemStride }) {
  const { rows } = readTable(table), act = actOf(rows);
  return `from mini_nn import profile
from mini_nn.blocks import KERAS, Block
from mini_nn.layers import ${act}
from mini_nn.models.inverted import build_inverted
table = [${rows.map((row) => `(${COLUMNS.map((key) => row[key]).join(", ")})`).join(", ")}]
stages, channels = [], 32
for t, k, s, c, n, se in table:
    stages.append((Block(channels, c, t, k, s, se), *[Block(c, c, t, k, 1, se)] * (n - 1)))
    channels = c
options = {"num_classes": ${classes}, "convention": KERAS, "in_channels": 3, "stem_stride": ${stemStride}, "dropout": 0.2, "drop_path": 0.0}
model = build_inverted(("own", options), tuple(stages), 1280, ${act})
print(profile.profile(model, (${size}, ${size}, 3)))`;
}
