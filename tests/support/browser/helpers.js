// In the page under test before any script of its own.
addEventListener('securitypolicyviolation', (event) => console.error('content policy', event.violatedDirective, event.blockedURI, event.sourceFile));

globalThis.T = {
  isShown(element) {
    const { width, height } = element.getBoundingClientRect();
    return width > 0 && height > 0 && getComputedStyle(element).visibility !== 'hidden';
  },

  nameOf(element) {
    const said = `${element.getAttribute('aria-label') ?? ''} ${element.innerText ?? element.textContent ?? ''} ${element.value ?? ''}`;
    return said.replace(/\s+/g, ' ').trim();
  },

  // The endpoints as their cards lie.
  order() {
    return [...document.querySelectorAll('.card h2')].map((one) => one.textContent);
  },

  find(selector, text = '') {
    return [...document.querySelectorAll(selector)].find((one) => T.isShown(one) && T.nameOf(one).includes(text));
  },

  // Its middle, or why it cannot be clicked.
  place(selector, text) {
    const element = T.find(selector, text);
    if (!element) return 'not there';
    if (element.disabled) return 'disabled';
    element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
    const { left, top, width, height } = element.getBoundingClientRect();
    const [x, y] = [left + width / 2, top + height / 2];
    const there = document.elementFromPoint(x, y);
    const label = there?.closest('label');
    if (there && (element.contains(there) || there.contains(element) || label?.control === element)) return { x, y };
    return `covered by ${there?.outerHTML?.slice(0, 200)}`;
  },
};
