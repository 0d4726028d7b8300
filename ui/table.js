// Runs in the frame of a table, which comes as data: draws it, sorts it by a click on a column, and searches it.
const { columns, rows, numeric, note: remark } = JSON.parse(document.getElementById('output').textContent);
const make = (tag, text, parent) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
};
const value = (text) => (/^(|\.\.\.|NaN|NaT|None|<NA>|nan)$/.test(text) ? NaN : parseFloat(text.replace(/,/g, '')));
const SEARCHED_ROWS = 8;
let sorted = null;
let descending = false;
let wanted = '';

const tools = make('div', undefined, body);
tools.className = 'tools';
const search = make('input', undefined, tools);
search.type = 'search';
search.placeholder = search.ariaLabel = root.dataset.search;
const count = make('span', undefined, tools);
count.setAttribute('role', 'status');
tools.hidden = rows.length < SEARCHED_ROWS;
const scroller = make('div', undefined, body);
scroller.className = 'scroller';
scroller.tabIndex = 0;
const table = make('table', undefined, scroller);
const head = make('tr', undefined, make('thead', undefined, table));
const tbody = make('tbody', undefined, table);
columns.forEach((name, at) => {
  const cell = make('th', undefined, head);
  cell.scope = 'col';
  if (numeric[at]) cell.className = 'number';
  const button = make('button', name || '#', cell);
  button.addEventListener('click', () => {
    // Once up, once down, then as it came.
    if (sorted !== at) [sorted, descending] = [at, false];
    else if (!descending) descending = true;
    else sorted = null;
    draw();
  });
});
const lines = rows.map((row) => {
  const line = document.createElement('tr');
  row.forEach((text, at) => {
    const cell = make(at === 0 && !columns[0] ? 'th' : 'td', text, line);
    if (numeric[at]) cell.className = 'number';
  });
  return line;
});
const compare = (one, other) => {
  const [a, b] = [rows[one][sorted], rows[other][sorted]];
  if (!numeric[sorted]) return a.localeCompare(b, undefined, { numeric: true });
  const [x, y] = [value(a), value(b)];
  // What is no number comes last, whichever way.
  if (isNaN(x) || isNaN(y)) return (isNaN(x) - isNaN(y)) * (descending ? -1 : 1);
  return x - y;
};
function draw() {
  let shown = rows.map((_, at) => at);
  if (wanted) shown = shown.filter((at) => rows[at].some((text) => text.toLowerCase().includes(wanted)));
  if (sorted !== null) shown.sort((one, other) => compare(one, other) * (descending ? -1 : 1));
  tbody.replaceChildren(...shown.map((at) => lines[at]));
  [...head.children].forEach((cell, at) => {
    if (at === sorted) cell.ariaSort = descending ? 'descending' : 'ascending';
    else cell.removeAttribute('aria-sort');
  });
  count.textContent = wanted ? `${shown.length} / ${rows.length}` : '';
}
search.addEventListener('input', () => { wanted = search.value.trim().toLowerCase(); draw(); });
draw();
if (remark) note(remark);
