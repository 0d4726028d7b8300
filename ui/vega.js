// Runs in the frame of a Vega or Vega-Lite chart: draws what its specification, which comes as data, says. Expressions
// in it are interpreted and never compiled, and whatever it would load is refused and told.
const { mode, spec } = JSON.parse(document.getElementById('output').textContent);
const chart = document.createElement('div');
document.body.append(chart);
const MANY_CHARS = 300_000;
// As an SVG a chart can be read aloud; of much data a picture is drawn faster.
const renderer = document.getElementById('output').textContent.length > MANY_CHARS ? 'canvas' : 'svg';
const refused = new Set();
// Vega reads tables that are texts with a function that it compiles; here nothing is.
const rowsOf = (text, between) => {
  const cell = new RegExp(`("(?:[^"]|"")*"|[^${between}\\r\\n"]*)(${between}|\\r?\\n|$)`, 'gy');
  const rows = [[]];
  for (let found; cell.lastIndex < text.length && (found = cell.exec(text));) {
    rows.at(-1).push(found[1].startsWith('"') ? found[1].slice(1, -1).replaceAll('""', '"') : found[1]);
    if (found[2] !== between && cell.lastIndex < text.length) rows.push([]);
  }
  const [names, ...rest] = rows;
  return rest.map((row) => Object.fromEntries(names.map((name, at) => [name, row[at] ?? ''])));
};
const BETWEEN = { csv: ',', tsv: '\t' };
function read(value) {
  if (typeof value !== 'object' || value === null) return;
  const between = BETWEEN[value.format?.type];
  if (between && typeof value.values === 'string') {
    value.values = rowsOf(value.values, between);
    value.format = { ...value.format, type: 'json', parse: value.format.parse ?? 'auto' };
  } else Object.values(value).forEach(read);
}
read(spec);
let drawn = null;
let latest = 0;
let problem = '';
const explain = () => {
  for (const line of document.querySelectorAll('.gb-note')) line.remove();
  if (problem) note(`${root.dataset.broken} (${problem})`);
  if (refused.size) note(`${root.dataset.refused} (${[...refused].slice(0, 3).join(', ')})`);
};
const refuse = async (address) => {
  if (address) refused.add(String(address).slice(0, 200));
  explain();
  throw new Error(root.dataset.refused);
};
const loader = {
  load: refuse,
  http: refuse,
  file: refuse,
  // A picture may come within the chart. A link would lead this frame away: it is none here.
  sanitize: async (address, options) => {
    if (options?.context === 'href') throw new Error('no links');
    return /^data:image\//.test(address) ? { href: address } : refuse(address);
  },
};
const SOFT = '#94a3b8', LINE = '#334155', TEXT = '#e2e8f0';
const DARK = {
  background: '#0f172a', title: { color: TEXT, subtitleColor: SOFT }, view: { stroke: LINE },
  style: { 'guide-label': { fill: SOFT }, 'guide-title': { fill: TEXT }, 'group-title': { fill: TEXT } },
  axis: { domainColor: LINE, gridColor: '#1e293b', tickColor: LINE },
  header: { labelColor: SOFT, titleColor: TEXT }, text: { color: TEXT }, rule: { color: SOFT },
};
async function draw() {
  const mine = ++latest;
  const dark = root.classList.contains('dark');
  const options = {
    mode, loader, renderer, actions: false, ast: true, config: dark ? DARK : {},
    tooltip: { theme: dark ? 'dark' : 'light' }, logLevel: 0,
  };
  drawn?.finalize();
  drawn = null;
  problem = '';
  try {
    // A copy: what it is given, it changes.
    const made = await vegaEmbed(chart, structuredClone(spec), options);
    if (mine === latest) drawn = made;
    else made.finalize();
  } catch (error) {
    if (mine !== latest) return;
    chart.replaceChildren();
    problem = String(error?.message ?? error).slice(0, 200);
  }
  explain();
}
addEventListener('hashchange', draw);
draw();
