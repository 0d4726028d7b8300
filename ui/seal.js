// Runs in the frame of an HTML output: the output comes as data, is read without being obeyed, and loses whatever
// could run, load or lead away before it is shown. The browser reads it once, so no second reader disagrees.
const NEVER = 'script, link, meta, base, iframe, frame, frameset, object, embed, portal, fencedframe, template';
// A template's content belongs to no window: nothing in it loads or runs, and no name in it hides a method of ours.
const template = document.createElement('template');
template.innerHTML = JSON.parse(document.getElementById('output').textContent);
const content = template.content;
const scripts = content.querySelector('script') !== null;
for (const element of content.querySelectorAll(NEVER)) element.remove();
document.body.append(content);
if (scripts) note(document.documentElement.dataset.scripts);
