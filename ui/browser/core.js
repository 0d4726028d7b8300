// What all panels need: words, elements made without HTML, calls of the API, and dialogs.

const known = document.getElementById('glovebox-known');
if (known) window.glovebox = JSON.parse(known.textContent);
export const glovebox = window.glovebox;

// A text in the reader's language; `{name}` stands for values.name.
export function say(key, values = {}) {
  const text = glovebox.words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

// An element. Texts are put in as text, never as HTML.
export function node(kind, properties = {}, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked' || name === 'selected' || name === 'disabled') made[name] = value;
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function button(label, act, properties = {}) {
  return node('button', { type: 'button', onclick: act, ...properties }, label);
}

// A button that is a sign; its label is said by whoever reads the page aloud, and shown when pointed at.
export function sign(symbol, label, act, properties = {}) {
  return button(node('span', { 'aria-hidden': 'true' }, symbol), act, {
    class: 'gb-glyph', 'aria-label': label, title: label, ...properties,
  });
}

export class Problem extends Error {
  constructor(detail, code = 'unreachable', status = 0) {
    super(detail);
    this.code = code;
    this.status = status;
  }
}

export function problemOf(status, document) {
  if (status === 401) return new Problem(say('login_ended'), 'unauthorized', status);
  return new Problem(document?.detail || say('unreachable'), document?.code, status);
}

// A call of the API by way of the page; the path's parts are quoted here.
export async function call(method, parts, body, query = {}) {
  const path = 'api/' + parts.map((each) => String(each).split('/').map(encodeURIComponent).join('/')).join('/');
  const asked = new URLSearchParams(query).toString();
  return fetched(method, asked ? `${path}?${asked}` : path, body);
}

// Of a door of the page's; the path is quoted already.
export async function fetched(method, path, body) {
  let answer;
  try {
    answer = await fetch(glovebox.root + path, {
      method,
      headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Problem(say('unreachable'));
  }
  const told = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw problemOf(answer.status, told);
  return told;
}

// A component of the page, once it is there: {element, trigger}.
export function part(name) {
  return new Promise((resolve) => {
    const found = () => {
      if (!glovebox.parts?.[name]) return;
      window.removeEventListener('glovebox:part', found);
      resolve(glovebox.parts[name]);
    };
    window.addEventListener('glovebox:part', found);
    found();
  });
}

export function openSession() {
  return new URLSearchParams(location.search).get('session') || '';
}

export function whenSession(act) {
  window.addEventListener('glovebox:session', act);
  window.addEventListener('glovebox:changed', act);
}

// All who look at the open session in the same moment look once.
let looking = null;
export function lookAt(session) {
  if (looking?.session !== session) {
    looking = { session, found: call('GET', ['sessions', session]) };
    setTimeout(() => { looking = null; });
  }
  return looking.found;
}

let asked = null;
export function me() {
  asked ??= call('GET', ['me']).catch((problem) => {
    asked = null;
    throw problem;
  });
  return asked;
}

export function size(bytes) {
  if (bytes === null || bytes === undefined) return '–';
  if (bytes < 1024) return `${bytes} B`;
  let amount = bytes;
  for (const unit of ['KB', 'MB', 'GB', 'TB']) {
    amount /= 1024;
    if (amount < 999.5 || unit === 'TB') return `${amount < 9.95 ? amount.toFixed(1) : Math.round(amount)} ${unit}`;
  }
  return '';
}

export function moment(text) {
  const when = new Date(text);
  return text && !Number.isNaN(when.getTime()) ? when.toLocaleString(glovebox.tag) : '–';
}

// Work that a person started: its button waits, and what goes wrong is said in `told`.
export async function doing(trigger, told, act) {
  if (trigger) trigger.disabled = true;
  told.replaceChildren();
  try {
    await act();
  } catch (problem) {
    told.replaceChildren(node('p', { class: 'gb-remark gb-bad', role: 'alert' }, problem.message));
  } finally {
    if (trigger) trigger.disabled = false;
  }
}

export function saidWell(told, text) {
  told.replaceChildren(node('p', { class: 'gb-remark', role: 'status' }, text));
}

// A dialog in the middle of the page; it is gone from the document when it is closed.
export function dialog(title, content, properties = {}) {
  const heading = node('h2', { id: `gb-title-${Math.random().toString(36).slice(2)}` }, title);
  const shown = node('dialog', { class: 'gb-dialog', 'aria-labelledby': heading.id, ...properties });
  const way = document.activeElement;
  const close = sign('✕', say('close'), () => shown.close());
  shown.append(node('header', {}, heading, close), content);
  shown.addEventListener('close', () => {
    shown.remove();
    if (way instanceof HTMLElement && way.isConnected) way.focus();
  });
  shown.addEventListener('click', (event) => {
    if (event.target === shown) shown.close();
  });
  (document.querySelector('.gradio-container') ?? document.body).append(shown);
  shown.showModal();
  return shown;
}

// A question with two answers, in place of whatever asked it.
export function confirming(question, label, act) {
  const box = node('div', { class: 'gb-asks', role: 'group', 'aria-label': question });
  const back = button(say('keep'), () => box.remove());
  const told = node('div', {});
  box.append(node('p', {}, question), button(label, (event) => doing(event.currentTarget, told, async () => {
    await act();
    box.remove();
  }), { class: 'gb-dangerous' }), back, told);
  queueMicrotask(() => back.focus());
  return box;
}
