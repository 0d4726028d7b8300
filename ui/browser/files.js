// The workspace: its folders and files, what they take, and everything that is done to them.

import { button, call, confirming, doing, glovebox, lookAt, node, openSession, part, say, sign, size, whenSession } from './core.js';
import { preview } from './preview.js';
import { Uploads, dropped } from './uploads.js';

const MAX_ROWS = 300;
const { element, trigger } = await part('files');
const opened = new Set();
let files = [];
let about = null;

const told = node('div', { class: 'gb-tell' });
const tree = node('div', { class: 'gb-tree' });
const disk = node('div', { class: 'gb-disk' });
const picker = node('input', {
  type: 'file', multiple: true, class: 'gb-hidden', tabindex: '-1', 'aria-hidden': 'true',
  onchange: () => { uploads.add([...picker.files].map((file) => ({ file, path: file.name }))); picker.value = ''; },
});
const pick = button(say('upload'), () => picker.click(), { class: 'gb-btn', id: 'upload' });
const all = node('a', { class: 'gb-btn', download: true }, say('download_all'));
const tools = node('div', { class: 'gb-toolrow' }, pick, all, picker);
const uploads = new Uploads({ refresh, begin: (name) => trigger('begin', { name }) });
const panel = node('div', { class: 'gb-workspace' }, tools, uploads.element, told, tree, disk);
element.replaceChildren(panel);

const fileUrl = (path) => `${glovebox.root}files/${encodeURIComponent(openSession())}/${path.split('/').map(encodeURIComponent).join('/')}`;
const mayChange = () => !about?.shared_by;

let asking = 0;
let drawn = '';
async function refresh() {
  const session = openSession();
  const mine = ++asking;
  if (!session) {
    files = [];
    about = null;
    drawn = '';
    draw();
    return;
  }
  await doing(null, told, async () => {
    const found = await Promise.all([call('GET', ['sessions', session, 'files']), lookAt(session)]);
    // A slower answer about a session that is not shown any more.
    if (mine !== asking) return;
    [files, about] = found;
    // What is as it was is not drawn anew.
    const told = JSON.stringify([session, files, about.usage?.disk_bytes, about.limits, about.shared_by]);
    if (told !== drawn) draw();
    drawn = told;
  });
}

function draw() {
  const session = openSession();
  panel.classList.toggle('gb-foreign', !mayChange());
  pick.hidden = !mayChange();
  all.hidden = !session || !files.length;
  all.href = `${glovebox.root}archive/${encodeURIComponent(session)}`;
  const focused = document.activeElement?.closest?.('[data-path]')?.dataset.path;
  tree.replaceChildren(files.length ? branch(asTree(files), '') : node('p', { class: 'gb-none' }, say(session ? 'no_files' : 'no_session_files')));
  if (focused) tree.querySelector(`[data-path="${CSS.escape(focused)}"] button`)?.focus();
  drawDisk();
}

function drawDisk() {
  disk.replaceChildren();
  const used = about?.usage?.disk_bytes ?? files.reduce((sum, file) => sum + file.size, 0);
  const most = (about?.limits?.disk_mb ?? 0) * 1024 * 1024;
  if (!about) return;
  const count = say(files.length === 1 ? 'one_file' : 'many_files', { count: files.length.toLocaleString(glovebox.tag) });
  const words = most ? say('disk_of', { used: size(used), most: size(most) }) : size(used);
  disk.append(node('span', {}, `${count} · ${words}`));
  if (most) {
    disk.append(node('meter', { min: 0, max: most, high: most * 0.9, value: Math.min(used, most), 'aria-label': say('disk_used') }));
  }
}

// Folders first, then files, each by name: {folders: Map(name -> tree), files: [file]}.
function asTree(list) {
  const root = { folders: new Map(), files: [] };
  for (const file of list) {
    const names = file.path.split('/');
    let at = root;
    for (const name of names.slice(0, -1)) {
      if (!at.folders.has(name)) at.folders.set(name, { folders: new Map(), files: [] });
      at = at.folders.get(name);
    }
    at.files.push({ ...file, name: names.at(-1) });
  }
  return root;
}

function branch(at, path) {
  const list = node('ul', { class: 'gb-branch' });
  const order = new Intl.Collator(glovebox.tag, { numeric: true }).compare;
  const folders = [...at.folders].sort((a, b) => order(a[0], b[0]));
  for (const [name, inside] of folders) list.append(folderRow(name, inside, path + name));
  const sorted = at.files.sort((a, b) => order(a.name, b.name));
  list.append(...sorted.slice(0, MAX_ROWS).map(fileRow));
  const more = sorted.length - MAX_ROWS;
  if (more > 0) list.append(node('li', { class: 'gb-none' }, say('files_more', { count: more.toLocaleString(glovebox.tag) })));
  return list;
}

function folderRow(name, inside, path) {
  const isOpen = opened.has(path);
  const toggle = button([node('span', { class: 'gb-arrow', 'aria-hidden': 'true' }, isOpen ? '▾' : '▸'), node('span', { class: 'gb-label' }, name)], () => {
    if (isOpen) opened.delete(path); else opened.add(path);
    draw();
    tree.querySelector(`[data-path="${CSS.escape(path)}"] button`)?.focus();
  }, { class: 'gb-open', 'aria-expanded': String(isOpen) });
  const row = node('li', { class: 'gb-item', 'data-path': path, 'data-folder': path }, node('div', { class: 'gb-line-of' }, toggle, ownTools(path, name, 'delete_folder')));
  if (isOpen) row.append(branch(inside, `${path}/`));
  return row;
}

function fileRow(file) {
  const show = button([node('span', { class: 'gb-label' }, file.name)], () => preview(file, fileUrl(file.path)), {
    class: 'gb-open', title: say('preview_of', { name: file.path }),
  });
  const load = node('a', { class: 'gb-glyph', href: fileUrl(file.path), download: true, title: say('download') },
    node('span', { 'aria-hidden': 'true' }, '↓'), node('span', { class: 'gb-hidden' }, `${say('download')} ${file.name}`));
  const line = node('div', { class: 'gb-line-of' }, show, node('small', {}, size(file.size)), load, ownTools(file.path, file.name, 'delete_file'));
  return node('li', { class: 'gb-item', 'data-path': file.path }, line);
}

function ownTools(path, name, question) {
  if (!mayChange()) return null;
  const row = () => tree.querySelector(`[data-path="${CSS.escape(path)}"]`);
  const remove = () => call('DELETE', ['sessions', openSession(), 'files', path]).then(refresh);
  return node('span', { class: 'gb-own' },
    sign('✎', `${say('rename')} ${name}`, () => renaming(row(), path)),
    sign('✕', `${say('delete')} ${name}`, () => {
      row().querySelector(':scope > .gb-asks')?.remove();
      row().querySelector('.gb-line-of').after(confirming(say(question), say('delete'), remove));
    }));
}

function renaming(row, path) {
  const line = row.querySelector('.gb-line-of');
  const input = node('input', { class: 'gb-input', value: path, 'aria-label': say('new_name'), maxlength: '1000' });
  const form = node('form', { class: 'gb-renames' }, input);
  let done = false;
  const end = async () => {
    if (done) return;
    done = true;
    const to = input.value.trim().replace(/^\/+|\/+$/g, '');
    if (to && to !== path) {
      await doing(null, told, async () => {
        await call('POST', ['sessions', openSession(), 'files', path, 'rename'], { to });
        // What was open of a folder stays open under its new name.
        for (const each of [...opened]) {
          if (each !== path && !each.startsWith(`${path}/`)) continue;
          opened.delete(each);
          opened.add(to + each.slice(path.length));
        }
        await refresh();
      });
    }
    if (form.isConnected) form.replaceWith(line);
  };
  form.addEventListener('submit', (event) => { event.preventDefault(); end(); });
  input.addEventListener('blur', end);
  input.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    done = true;
    form.replaceWith(line);
  });
  line.replaceWith(form);
  input.focus();
  const dot = row.dataset.folder ? -1 : path.lastIndexOf('.');
  input.setSelectionRange(path.lastIndexOf('/') + 1, dot > path.lastIndexOf('/') ? dot : path.length);
}

// Files may be dropped onto the panel, into a folder of it, or pasted anywhere but into the message box.
const side = document.querySelector('#files-panel') ?? element;
let target = null;
const aim = (at) => {
  target?.classList.remove('gb-aimed');
  target = at;
  target?.classList.add('gb-aimed');
};
const carries = (event) => mayChange() && [...(event.dataTransfer?.types ?? [])].includes('Files');
side.addEventListener('dragover', (event) => {
  if (!carries(event)) return;
  event.preventDefault();
  event.stopPropagation();
  event.dataTransfer.dropEffect = 'copy';
  aim(event.target.closest?.('[data-folder]') ?? panel);
});
side.addEventListener('dragleave', (event) => { if (!side.contains(event.relatedTarget)) aim(null); });
side.addEventListener('drop', async (event) => {
  if (!carries(event)) return;
  event.preventDefault();
  event.stopPropagation();
  const folder = target?.dataset.folder;
  aim(null);
  const found = await dropped(event.dataTransfer);
  uploads.add(folder ? found.map((each) => ({ ...each, path: `${folder}/${each.path}` })) : found);
});
document.addEventListener('paste', (event) => {
  const pasted = [...(event.clipboardData?.files ?? [])];
  if (!pasted.length || !mayChange() || event.target.closest?.('#prompt, dialog')) return;
  event.preventDefault();
  uploads.add(pasted.map((file) => ({ file, path: file.name || say('pasted') })));
});

whenSession(() => {
  uploads.sessionIs(openSession());
  refresh();
});
refresh();
