// In place of highlight.js, which knows two hundred languages: what mdBook calls, for the three that
// the chapters use, in the colors of the source pages.
"use strict";
const hljs = {
  rules: {
    rust: /(?<comment>\/\/.*)|(?<string>b?"(?:\\[^]|[^"\\])*")|(?<keyword>\b(?:async|break|const|continue|else|enum|fn|for|if|impl|loop|match|mod|return|static|struct|trait|type|while)\b)/g,
    json: /(?<string>"(?:\\[^]|[^"\\])*")/g,
    console: /(?<meta>^\$)/gm,
  },
  configure() {},
  highlightBlock(block) {
    const language = /language-(\w+)/.exec(block.className)?.[1];
    const rule = this.rules[language];
    if (!rule) return;
    const walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (const text of texts) {
      const parts = [];
      let done = 0;
      for (const match of text.data.matchAll(rule)) {
        const [kind] = Object.entries(match.groups).find(([, found]) => found !== undefined);
        const span = Object.assign(document.createElement("span"), { className: `hljs-${kind}`, textContent: match[0] });
        parts.push(text.data.slice(done, match.index), span);
        done = match.index + match[0].length;
      }
      if (done > 0) text.replaceWith(...parts, text.data.slice(done));
    }
  },
};
