// What scrolls sideways must be reachable with the keyboard.
"use strict";
addEventListener("load", () => {
  for (const box of document.querySelectorAll(".bd-article pre, .bd-article table, mjx-container[display=true]")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
});
