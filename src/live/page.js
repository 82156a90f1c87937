// Puts each new state of the run in the place of the last one, until the run has ended.
"use strict";
const title = document.title;
const events = new EventSource("events");

function show(event) {
  document.querySelector("main").outerHTML = event.data;
}

// The same, and the figures that the reader has unfolded stay so: they are the same charts in the same order.
function renew(event) {
  const unfolded = Array.from(document.querySelectorAll("main details"), (details) => details.open);
  show(event);
  document.querySelectorAll("main details").forEach((details, number) => {
    details.open = unfolded[number] === true;
  });
}

events.onopen = () => {
  document.title = title;
};
events.onmessage = renew;
events.addEventListener("ended", (event) => {
  show(event);
  document.title = "ended: " + title;
  // The browser would ask again.
  events.close();
});
// The browser tries again by itself. Until it is answered, what the page shows is old.
events.onerror = () => {
  document.title = "not connected: " + title;
};
