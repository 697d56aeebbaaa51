// What a page must not have, as a list of sentences: too little contrast, pictures without words, fields without names.
() => {
  const wrong = [], canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (colour, under = null) => {  // any CSS colour, over another
    const key = `${colour} over ${under}`;
    if (known.has(key)) return known.get(key);
    canvas.clearRect(0, 0, 1, 1);
    for (const one of [under, colour]) if (one) { canvas.fillStyle = one; canvas.fillRect(0, 0, 1, 1); }
    known.set(key, [...canvas.getImageData(0, 0, 1, 1).data]);
    return known.get(key);
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {  // the nearest opaque ground
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (rgba(colour)[3] === 255) return colour;
    }
    return getComputedStyle(document.documentElement).colorScheme.includes("dark") && matchMedia("(prefers-color-scheme: dark)").matches ? "#121212" : "#fff";
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), seen = new Set();
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement, style = getComputedStyle(node);
    if (!text.data.trim() || seen.has(node) || node.closest("script, style, svg, mjx-container, noscript, template, :disabled, [aria-hidden=true]")) continue;
    seen.add(node);
    if (!node.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || !node.getClientRects().length) continue;
    const back = ground(node), front = rgba(style.color, back), pair = [light(front), light(rgba(back))].sort((a, b) => b - a);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < (large ? 3 : 4.5) - 0.005) wrong.push(`contrast ${ratio.toFixed(2)} of ${style.color} on ${back}: ${node.tagName} ${node.className} "${text.data.trim().slice(0, 40)}"`);
  }
  for (const image of document.images) if (!image.hasAttribute("alt") || (!image.alt.trim() && !image.closest("[aria-hidden=true]"))) wrong.push(`no alt text: ${image.src.slice(-80)}`);
  for (const drawing of document.querySelectorAll("svg[role=img]:not([aria-hidden=true])")) if (!drawing.closest("button[aria-label]") && !drawing.getAttribute("aria-label") && !drawing.querySelector("title")) wrong.push("a drawing without words");
  const named = (node) => node.getAttribute("aria-label") || node.getAttribute("aria-labelledby") || node.title || node.textContent.trim() || node.labels?.length || node.querySelector?.("img[alt], svg[aria-label]");
  for (const node of document.querySelectorAll("button, a[href], input:not([type=hidden]), select, textarea")) {
    if (node.checkVisibility({ visibilityProperty: true }) && !named(node)) wrong.push(`no name: ${node.outerHTML.slice(0, 120)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) wrong.push(`two things called #${id}`);
  if (!document.documentElement.lang) wrong.push("no language");
  const titles = [...document.querySelectorAll("h1")].filter((node) => node.checkVisibility());
  if (titles.length !== 1) wrong.push(`${titles.length} headings of the first rank`);
  return wrong;
}
