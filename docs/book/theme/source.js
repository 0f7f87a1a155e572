// The theme: that of the chapter beside it, or the one that was chosen in the book.
"use strict";
(() => {
  const html = document.documentElement;
  const take = (theme) => {
    html.classList.toggle("dark", theme === "dark");
    html.classList.toggle("light", theme === "light");
  };
  if (parent !== window) {
    html.classList.add("framed");
    addEventListener("message", (event) => {
      if (event.source === parent && ["dark", "light"].includes(event.data?.piecemeal)) take(event.data.piecemeal);
    });
    parent.postMessage({ piecemeal: "ready" }, "*");
  } else {
    try {
      const chosen = localStorage.getItem("mdbook-theme");
      if (chosen) take(["coal", "navy", "ayu"].includes(chosen) ? "dark" : "light");
    } catch { /* The system's theme. */ }
  }
  addEventListener("DOMContentLoaded", () => {
    // What is wider than the window fades out where it goes on.
    for (const wide of document.querySelectorAll("nav, .drawing")) {
      const here = wide.querySelector("[aria-current]");
      if (here) wide.scrollLeft = here.offsetLeft - 60;
      const look = () => wide.classList.toggle("goes-on", wide.scrollLeft + wide.clientWidth < wide.scrollWidth - 4);
      wide.addEventListener("scroll", look, { passive: true });
      new ResizeObserver(look).observe(wide);
    }
  });
})();
