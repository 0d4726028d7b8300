// Runs once in the conversation (js_on_load): follows the session through the live door and keeps the page as told.
// What is there is changed, not made anew: so a fold that somebody opened stays open, and a selection stays made.
const scroller = element.querySelector('.gb-scroll');
const log = element.querySelector('.gb-log');
const welcomePage = element.querySelector('.gb-welcome-place');
const toEnd = element.querySelector('.gb-to-end');
const said = element.querySelector('.gb-announced');
const middle = document.getElementById('middle');
const state = {};
let words = {};
let blocks = {};
let order = [];

// -- following ------------------------------------------------------------------------------------------------------
let watched = null;
let reading = null;
let attempts = 0;
let again = 0;

function watch(session) {
  if (session === watched) return;
  watched = session;
  middle?.classList.toggle('gb-in-session', Boolean(session));
  log.replaceChildren();
  blocks = {};
  order = [];
  dirty.clear();
  attempts = 0;
  atEnd = true;
  follow();
}

async function follow() {
  clearTimeout(again);
  reading?.abort();
  const mine = (reading = new AbortController());
  const session = watched;
  try {
    const address = session ? `live/${encodeURIComponent(session)}` : 'live';
    const answer = await fetch(new URL(address, document.baseURI), { signal: mine.signal });
    if (answer.status === 404 || answer.status === 403) return trigger('gone', await answer.json());
    if (!answer.ok) throw new Error(answer.status);
    await read(answer.body.getReader(), mine);
    if (!session || mine.signal.aborted || mine.ended) return;
    throw new Error('ended');
  } catch (error) {
    if (mine.signal.aborted) return;
    // A first failure is often over at once; what lasts is said.
    if (attempts > 0) show({ state: { offline: words.offline ?? '…' } });
    again = setTimeout(follow, Math.min(500 * 2 ** attempts++, 8000));
  }
}

async function read(reader, mine) {
  const decoder = new TextDecoder();
  let rest = '';
  let fresh = true;
  for (;;) {
    const { value, done } = await reader.read();
    if (done || mine.signal.aborted) return;
    attempts = 0;
    rest += decoder.decode(value, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const told = JSON.parse(line);
      if (told.gone) mine.ended = true;
      // A new connection tells everything again; until then what is there stays.
      if (fresh && told.order) [blocks, fresh] = [{}, false];
      show(told);
    }
  }
}

// A page that nobody looks at gives its connection back: a browser has few for each site.
let sleeping = 0;
document.addEventListener('visibilitychange', () => {
  clearTimeout(sleeping);
  if (document.hidden) sleeping = setTimeout(() => { reading?.abort(); reading = null; }, 60_000);
  else if (!reading && watched !== null) follow();
});
addEventListener('online', () => { if (watched) follow(); });

// -- showing --------------------------------------------------------------------------------------------------------
function show(told) {
  if (told.words) words = told.words;
  if (told.welcome) welcomePage.innerHTML = told.welcome;
  if (told.gone) trigger('gone', { detail: told.gone });
  for (const [key, change] of Object.entries(told.set ?? {})) {
    if (typeof change === 'string') blocks[key] = change;
    else blocks[key] = blocks[key].slice(0, change[0]) + change[2] + blocks[key].slice(change[1]);
    dirty.add(key);
  }
  if (told.order) order = told.order;
  unsettled = { ...unsettled, ...told.state };
  arranged = arranged && !told.order;
  // Painting takes a fraction of the time, however fast news come: what comes meanwhile is painted together.
  painting ||= setTimeout(paint, Math.max(0, painted + Math.min(1000, 3 * cost) - performance.now()));
}

const dirty = new Set();
let unsettled = {};
let arranged = true;
let painting = 0;
let cost = 0;
let painted = 0;
function paint() {
  const began = performance.now();
  painting = 0;
  if (!arranged) arrange();
  for (const key of dirty) {
    if (places.has(key)) fill(places.get(key), blocks[key]);
  }
  dirty.clear();
  settle(unsettled);
  unsettled = {};
  if (!arranged) middle?.classList.toggle('gb-empty', !watched || (!order.length && !state.running));
  arranged = true;
  stayAtEnd();
  // With the layout that follows, which is most of it.
  void log.offsetHeight;
  painted = performance.now();
  cost = painted - began;
}

let places = new Map();
function arrange() {
  places = new Map();
  const known = new Map([...log.children].map((message) => [message.dataset.id, message]));
  const messages = order.map(([id, role, keys]) => {
    const message = known.get(id) ?? document.createElement('article');
    known.delete(id);
    message.dataset.id = id;
    message.className = `gb-message gb-${role}`;
    const parts = new Map([...message.children].map((part) => [part.dataset.key, part]));
    place(message, keys.map((key) => {
      const part = parts.get(key) ?? document.createElement('div');
      part.dataset.key = key;
      places.set(key, part);
      return part;
    }));
    return message;
  });
  place(log, messages);
}

function fill(block, html) {
  if (block.querySelector('.gb-editor')) {
    // Somebody writes in there: it is filled when they are done.
    block.waiting = html;
    return;
  }
  if (block.firstChild) {
    const made = document.createElement('template');
    made.innerHTML = html;
    morph(block, made.content);
  } else block.innerHTML = html;
  dress(block);
}

// What the browser has to add to what it was told.
const clocks = new WeakMap();
function dress(block) {
  for (const button of block.querySelectorAll('.gb-copy:not([aria-label])')) button.ariaLabel = button.title = words.copy;
  for (const formula of block.querySelectorAll('.gb-math:not(.gb-drawn)')) near.observe(formula);
  for (const frame of block.querySelectorAll('iframe.gb-frame:not([data-tinted])')) tint(frame);
  mark();
  const clock = block.querySelector('.gb-clock');
  if (clock && !clocks.has(block)) clocks.set(block, performance.now());
  // Code that is being written, and what a cell prints, are read at their end.
  for (const pre of block.querySelectorAll('.gb-is-writing .gb-code, .gb-is-running .gb-out')) {
    if (pre.scrolled === undefined) pre.addEventListener('scroll', () => { pre.scrolled = away(pre) > 24; });
    if (!pre.scrolled) pre.scrollTop = pre.scrollHeight;
  }
}
setInterval(() => {
  for (const clock of log.querySelectorAll('.gb-clock')) {
    const began = clocks.get(clock.closest('[data-key]'));
    const seconds = Math.floor((performance.now() - began) / 1000);
    clock.textContent = seconds < 1 ? '' : seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  }
}, 1000);

// A formula takes a millisecond or two: one that nobody sees yet can wait.
const near = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    draw(target);
  }
}, { root: scroller, rootMargin: '600px 0px' });
let katex;
async function draw(formula) {
  formula.classList.add('gb-drawn');
  const tex = formula.dataset.tex;
  try {
    const { katexScript, katexStyle } = log.dataset;
    katex ??= import(new URL(katexScript, document.baseURI)).then((loaded) => {
      const style = Object.assign(document.createElement('link'), { rel: 'stylesheet' });
      style.href = new URL(katexStyle, document.baseURI);
      document.head.append(style);
      return loaded.default;
    });
    const displayMode = formula.classList.contains('gb-display');
    (await katex).render(tex, formula, { displayMode, throwOnError: false, trust: false, strict: false, maxExpand: 200, maxSize: 20 });
    stayAtEnd();
  } catch {
    formula.textContent = tex;
  }
}

const isDark = () => document.body.classList.contains('dark') || document.querySelector('.dark .gradio-container') !== null;
function tint(frame) {
  const address = frame.getAttribute('src').split('#')[0];
  const wanted = isDark() ? `${address}#dark` : address;
  frame.dataset.tinted = '1';
  if (frame.getAttribute('src') !== wanted) frame.setAttribute('src', wanted);
}
new MutationObserver(() => log.querySelectorAll('iframe.gb-frame').forEach(tint))
  .observe(document.body, { attributes: true, attributeFilter: ['class'] });

// A frame tells how high its content is; it is believed only about its own height, within bounds.
addEventListener('message', (event) => {
  const height = Number(event.data?.gloveboxHeight);
  if (!Number.isFinite(height)) return;
  for (const frame of log.querySelectorAll('iframe.gb-frame')) {
    if (frame.contentWindow === event.source) frame.style.height = `${Math.min(Math.max(height, 48), 720)}px`;
  }
});

function settle(news) {
  if (!Object.keys(news).length) return;
  const ran = state.running;
  Object.assign(state, news);
  middle?.classList.toggle('gb-running', Boolean(state.running));
  middle?.classList.toggle('gb-read-only', Boolean(state.readOnly));
  if (news.running === false && ran) said.textContent = words.ready;
  // Who asks wants to see the answer.
  if (news.running && ran === false) atEnd = true;
  if (news.running) said.textContent = words.working;
  if (news.meter !== undefined) document.querySelector('#meter .gb-meter')?.replaceChildren(...parsed(news.meter));
  const lost = document.querySelector('.gb-offline');
  if (lost && news.offline !== undefined) lost.textContent = news.offline;
  // When a turn begins, its first words come before the lists beside them.
  if (news.pulse === undefined || !watched) return;
  clearTimeout(pulsing);
  const tell = () => window.dispatchEvent(new CustomEvent('glovebox:changed'));
  pulsing = setTimeout(tell, news.running && ran === false ? 1500 : 0);
}
let pulsing = 0;

function parsed(html) {
  const made = document.createElement('template');
  made.innerHTML = html;
  return made.content.childNodes;
}

// -- staying at the end ---------------------------------------------------------------------------------------------
let atEnd = true;
const away = (box) => box.scrollHeight - box.scrollTop - box.clientHeight;
const stayAtEnd = () => { if (atEnd) scroller.scrollTop = scroller.scrollHeight; };
let lastTop = 0;
scroller.addEventListener('scroll', () => {
  // What grows moves nobody away from the end; only scrolling up does.
  if (away(scroller) < 40) atEnd = true;
  else if (scroller.scrollTop < lastTop - 2) atEnd = false;
  lastTop = scroller.scrollTop;
  toEnd.hidden = away(scroller) < 200;
}, { passive: true });
new ResizeObserver(stayAtEnd).observe(log);
new ResizeObserver(stayAtEnd).observe(scroller);
toEnd.addEventListener('click', () => { atEnd = true; scroller.scrollTo({ top: scroller.scrollHeight, behavior: 'smooth' }); });
