// Uploads on their way: each file is sent as it is, by itself, so that its size does not matter to the browser either.

import { button, call, glovebox, node, problemOf, say, sign, size } from './core.js';

const AT_ONCE = 2;
const NAMED_FAILURES = 5;
const BEGIN_MS = 30_000;
const LARGE = 4 * 1024 * 1024;

export class Uploads {
  // `refresh` looks at the workspace again; `begin` makes a session for files that come before there is one.
  constructor({ refresh, begin }) {
    this.refresh = refresh;
    this.begin = begin;
    this.element = node('div', { class: 'gb-uploads' });
    this.session = '';
    this.reset();
  }

  reset() {
    this.waiting = [];
    this.running = new Map();
    this.done = [];
    this.failed = [];
    this.bytes = 0;
    this.sentBytes = 0;
    this.number = 0;
  }

  add(files) {
    if (!files.length) return;
    if (!this.running.size && !this.waiting.length) this.reset();
    this.waiting.push(...files);
    this.number += files.length;
    this.bytes += files.reduce((sum, each) => sum + each.file.size, 0);
    const session = new URLSearchParams(location.search).get('session');
    if (session) this.sessionIs(session);
    else this.ask(files[0].path);
    this.draw();
  }

  ask(name) {
    clearTimeout(this.patience);
    this.patience = setTimeout(() => this.cancel(), BEGIN_MS);
    this.begin(name);
  }

  sessionIs(session) {
    if (!session || (this.running.size && session !== this.session)) return;
    clearTimeout(this.patience);
    this.session = session;
    while (this.running.size < AT_ONCE && this.waiting.length) this.send(this.waiting.shift());
  }

  // What is large is not sent at all when it will be refused.
  send({ file, path }) {
    const asked = new XMLHttpRequest();
    this.running.set(asked, { path, sent: 0 });
    const room = file.size < LARGE ? Promise.resolve() : call('POST', ['sessions', this.session, 'files'], { bytes: file.size });
    room.then(() => { if (this.running.has(asked)) this.put(asked, file, path); }, (problem) => {
      this.failed.push({ path, why: problem.message });
      this.ended(asked, file.size);
    });
  }

  put(asked, file, path) {
    const where = path.split('/').map(encodeURIComponent).join('/');
    asked.open('PUT', `${glovebox.root}files/${encodeURIComponent(this.session)}/${where}`);
    asked.upload.onprogress = (event) => { this.running.set(asked, { path, sent: event.loaded }); this.draw(); };
    asked.onload = () => {
      if (asked.status === 401) window.dispatchEvent(new Event('glovebox:ended'));
      if (asked.status < 300) this.done.push({ path, session: this.session, ...JSON.parse(asked.responseText || '{}') });
      else this.failed.push({ path, why: problemOf(asked.status, parsed(asked.responseText)).message });
      this.ended(asked, file.size);
    };
    asked.onerror = () => { this.failed.push({ path, why: say('upload_broke') }); this.ended(asked, file.size); };
    asked.onabort = () => { this.failed.push({ path, why: say('upload_cancelled') }); this.ended(asked, file.size); };
    asked.send(file);
  }

  ended(asked, bytes) {
    this.running.delete(asked);
    this.sentBytes += bytes;
    this.sessionIs(this.session);
    this.draw();
    if (!this.running.size) this.refresh();
  }

  cancel() {
    this.failed.push(...this.waiting.map(({ path }) => ({ path, why: say('upload_cancelled') })));
    this.waiting = [];
    for (const [asked, { path }] of [...this.running]) {
      if (asked.readyState) asked.abort();
      else {
        this.running.delete(asked);
        this.failed.push({ path, why: say('upload_cancelled') });
      }
    }
    this.draw();
  }

  async undo() {
    const back = this.done;
    this.done = [];
    this.failed = [];
    const results = await Promise.allSettled(back.map(({ session, path }) => call('POST', ['sessions', session, 'files', path, 'undo'])));
    results.forEach((result, at) => { if (result.status === 'rejected') this.failed.push({ path: back[at].path, why: result.reason.message }); });
    this.draw();
    if (!this.failed.length) this.element.replaceChildren(node('p', { class: 'gb-remark', role: 'status' }, say('upload_undone')));
    this.refresh();
  }

  draw() {
    const goesOn = this.running.size || this.waiting.length;
    if (goesOn) this.drawProgress(); else this.drawEnd();
  }

  drawProgress() {
    const sent = this.sentBytes + [...this.running.values()].reduce((sum, each) => sum + each.sent, 0);
    const finished = this.done.length + this.failed.length;
    const words = this.number === 1
      ? say('uploading_one', { name: [...this.running.values()][0]?.path ?? '', sent: size(sent), size: size(this.bytes) })
      : say('uploading', { done: finished, count: this.number, sent: size(sent), size: size(this.bytes) });
    if (!this.bar?.isConnected) {
      this.words = node('span', {});
      this.bar = node('progress', { 'aria-label': say('upload') });
      this.element.replaceChildren(node('div', { class: 'gb-uploading' }, this.words, sign('✕', say('cancel'), () => this.cancel()), this.bar));
    }
    this.words.textContent = words;
    this.bar.max = Math.max(this.bytes, 1);
    this.bar.value = Math.min(sent, this.bar.max);
  }

  drawEnd() {
    if (!this.done.length && !this.failed.length) {
      this.element.replaceChildren();
      return;
    }
    const replaced = this.done.filter((each) => each.replaced).length;
    const key = this.done.length === 1 ? (replaced ? 'replaced_one' : 'uploaded_one') : 'uploaded';
    const box = node('div', { class: 'gb-uploaded' });
    if (this.done.length) {
      const undo = button(say('undo'), (event) => { event.currentTarget.disabled = true; this.undo(); }, { class: 'gb-link' });
      box.append(node('p', { class: 'gb-remark', role: 'status' }, say(key, { name: this.done[0].path, count: this.done.length }), ' ', undo));
    }
    for (const { path, why } of this.failed.slice(0, NAMED_FAILURES)) {
      box.append(node('p', { class: 'gb-remark gb-bad', role: 'alert' }, say('upload_failed', { name: path, why })));
    }
    const more = this.failed.length - NAMED_FAILURES;
    if (more > 0) box.append(node('p', { class: 'gb-remark gb-bad' }, say('failures_more', { count: more })));
    box.append(sign('✕', say('dismiss'), () => this.element.replaceChildren()));
    this.element.replaceChildren(box);
  }
}

// What was dropped: files, and all that is in folders, with their paths.
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
  return (await Promise.all(entries.map((entry) => inside(entry, '')))).flat();
}

async function inside(entry, before) {
  const path = before + entry.name;
  if (entry.isFile) {
    const file = await new Promise((resolve) => { entry.file(resolve, () => resolve(null)); });
    return file ? [{ file, path }] : [];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    // A folder is told in portions, until one is empty.
    const some = await new Promise((resolve) => { reader.readEntries(resolve, () => resolve([])); });
    if (!some.length) break;
    found.push(...some);
  }
  return (await Promise.all(found.map((each) => inside(each, `${path}/`)))).flat();
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
