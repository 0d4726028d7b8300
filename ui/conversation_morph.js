// How what is there becomes what it should be; between conversation.js and conversation_acts.js, in the same function.
// Puts children in order and takes away the others; what is in its place is not touched, so frames are not loaded anew.
function place(parent, wanted) {
  const kept = new Set(wanted);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  wanted.forEach((child, at) => {
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null);
  });
}

function morph(old, wanted) {
  const news = [...wanted.childNodes];
  const olds = [...old.childNodes].filter((node) => !tails.has(node));
  news.forEach((node, at) => {
    const was = olds[at];
    if (!was) old.append(node);
    else if (!alike(was, node)) without(was).replaceWith(node);
    else if (node.nodeType === Node.TEXT_NODE) retell(was, node.data);
    else {
      rename(was, node);
      if (!node.matches('iframe, .gb-math')) morph(was, node);
    }
  });
  for (const was of olds.slice(news.length)) without(was).remove();
}

function alike(was, node) {
  if (was.nodeType !== node.nodeType || was.nodeName !== node.nodeName) return false;
  if (node.nodeName === 'IFRAME') return was.getAttribute('src') === node.getAttribute('src');
  if (node.nodeType === Node.ELEMENT_NODE && node.dataset.tex !== was.dataset.tex) return false;
  return true;
}

// A text that grows is laid out and painted anew as a whole: so it grows at its end, in further nodes.
const tails = new WeakSet();
const grown = new WeakMap();
const TAIL = 200;
function retell(was, text) {
  const { said, last } = grown.get(was) ?? { said: was.data, last: was };
  if (said === text) return;
  if (!text.startsWith(said)) {
    without(was).data = text;
    return;
  }
  const more = text.slice(said.length);
  let end = last;
  if (last.length < TAIL) last.appendData(more);
  else {
    end = document.createTextNode(more);
    tails.add(end);
    last.after(end);
  }
  grown.set(was, { said: text, last: end });
}

function without(was) {
  while (grown.has(was) && was.nextSibling && tails.has(was.nextSibling)) was.nextSibling.remove();
  grown.delete(was);
  return was;
}

function rename(was, node) {
  for (const { name } of [...was.attributes]) {
    if (node.hasAttribute(name) || name === 'aria-label' || (name === 'style' && was.nodeName === 'IFRAME')) continue;
    if (name === 'open' && was.touched) continue;
    was.removeAttribute(name);
  }
  for (const { name, value } of node.attributes) {
    if (was.getAttribute(name) === value || (name === 'style' && was.nodeName === 'IFRAME')) continue;
    if (name === 'open' && was.touched) continue;
    was.setAttribute(name, value);
  }
}
