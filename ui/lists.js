// Runs once in the list of sessions (js_on_load): keeps what is at the sides as the server draws it (sides.py), and makes
// clicks on rows events of the component. Only what differs is touched: a row that somebody is at stays as it is.
window.glovebox.mount('sessions', element, trigger);
const list = element.querySelector('.gb-list');
const none = element.querySelector('.gb-empty');
const rowOf = (node) => node.closest('[data-id]');
const drawn = new WeakMap();
let tag = '';
let looking = false;
let due = false;

async function refresh() {
  due = true;
  if (looking) return;
  looking = true;
  while (due) {
    due = false;
    // Whether the service answers is said elsewhere; the list stays as it was.
    await look().catch(() => {});
  }
  looking = false;
}

async function look() {
  const session = new URLSearchParams(location.search).get('session') ?? '';
  const headers = tag ? { 'If-None-Match': tag } : {};
  const answer = await fetch(`${window.glovebox.root}sides/${encodeURIComponent(session)}`, { headers, cache: 'no-store' });
  if (!answer.ok) return;
  tag = answer.headers.get('ETag') ?? '';
  show(await answer.json());
}

function show(sides) {
  for (const name of ['title', 'export']) {
    const place = document.querySelector(`#${name} .prose`);
    if (!place) tag = '';
    else if (drawn.get(place) !== sides[name]) {
      place.innerHTML = sides[name];
      drawn.set(place, sides[name]);
    }
  }
  const rows = new Map([...list.children].map((row) => [row.dataset.id, row]));
  sides.rows.forEach(([id, html], at) => {
    const row = kept(rows.get(id), html) ?? fresh(rows.get(id), html);
    rows.delete(id);
    if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null);
  });
  for (const row of rows.values()) row.remove();
  none.textContent = sides.none;
  none.hidden = !sides.none;
  window.dispatchEvent(new CustomEvent('glovebox:listed'));
}

function kept(row, html) {
  if (!row || drawn.get(row) === html) return row;
  if (!row.matches('.gb-renaming, .gb-asking')) return null;
  // It is told of again.
  tag = '';
  return row;
}

function fresh(old, html) {
  const made = document.createElement('template');
  made.innerHTML = html;
  const row = made.content.firstElementChild;
  drawn.set(row, html);
  const at = old?.contains(document.activeElement) ? document.activeElement.dataset.act : null;
  old?.replaceWith(row);
  if (at) row.querySelector(`[data-act=${at}]`)?.focus();
  return row;
}

for (const news of ['glovebox:session', 'glovebox:changed']) window.addEventListener(news, refresh);
refresh();

element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-act]');
  if (!button) return;
  const act = button.dataset.act;
  // A link opened in another tab is the browser's business.
  if (act === 'choose' && (event.ctrlKey || event.metaKey || event.shiftKey)) return;
  event.preventDefault();
  const row = rowOf(button);
  const id = row.dataset.id;
  if (act === 'choose') trigger('choose', { id });
  if (act === 'edit') {
    row.classList.add('gb-renaming');
    const input = row.querySelector('input');
    input.focus();
    input.select();
  }
  if (act === 'ask') {
    row.classList.add('gb-asking');
    row.querySelector('[data-act=keep]').focus();
  }
  if (act === 'keep') row.classList.remove('gb-asking');
  if (act === 'discard') trigger('discard', { id });
});

element.addEventListener('keydown', (event) => {
  const row = rowOf(event.target);
  if (!row) return;
  if (event.key === 'Escape') row.classList.remove('gb-renaming', 'gb-asking');
  if (event.key !== 'Enter' || event.target.tagName !== 'INPUT') return;
  row.classList.remove('gb-renaming');
  const name = event.target.value.trim();
  if (name) trigger('rename', { id: row.dataset.id, name });
});

element.addEventListener('focusout', (event) => {
  if (event.target.tagName === 'INPUT') rowOf(event.target)?.classList.remove('gb-renaming');
});
