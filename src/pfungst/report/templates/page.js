"use strict";
(function () {
  const store = document.getElementById("page-data");
  const data = store ? JSON.parse(store.textContent) : { classes: [], models: [], photos: [], entries: [] };
  const photoOf = new Map(data.photos.map((photo, index) => [photo.id, index]));
  const entryOf = new Map(data.entries.map((entry) => [entry.photo + ":" + entry.class, entry]));
  const number = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const say = (value) => value === null ? "–" : number.format(value).replace("-", "−");
  const sayScore = (value) => value === null ? "–" : (value > 0 ? "+" : "") + say(value);

  function element(name, properties, children) {
    const made = Object.assign(document.createElement(name), properties || {});
    made.append(...(children || []));
    return made;
  }

  // Pictures are decoded when they come near the window, and all of them before printing.
  const waiting = new Set();
  const watcher = new IntersectionObserver((seen) => {
    for (const one of seen) if (one.isIntersecting) load(one.target);
  }, { rootMargin: "600px" });
  function load(image) {
    watcher.unobserve(image);
    waiting.delete(image);
    image.src = image.make();
  }
  function picture(alt, className, make) {
    const image = element("img", { alt, className });
    image.make = make;
    waiting.add(image);
    watcher.observe(image);
    return image;
  }
  window.addEventListener("beforeprint", () => {
    for (const image of [...waiting]) if (image.isConnected) load(image);
  });

  const jpeg = (photo) => "data:image/jpeg;base64," + photo.picture;

  function boxes(photo, classIndex) {
    const drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    drawn.setAttribute("viewBox", "0 0 " + photo.width + " " + photo.height);
    drawn.setAttribute("preserveAspectRatio", "none");
    drawn.setAttribute("aria-hidden", "true");
    for (const [name, left, top, right, bottom] of photo.boxes) {
      const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const place = { x: left, y: top, width: right - left, height: bottom - top };
      for (const key of Object.keys(place)) box.setAttribute(key, place[key]);
      if (name !== classIndex) box.setAttribute("class", "other");
      drawn.append(box);
    }
    return drawn;
  }

  function frame(photo, children) {
    const made = element("div", { className: "frame" }, children);
    made.style.aspectRatio = photo.width + " / " + photo.height;
    return made;
  }

  function photoFrame(photo, classIndex) {
    if (!photo.picture) return frame(photo, [element("p", { className: "none", textContent: "no thumbnail" })]);
    const shown = photo.boxes.filter((box) => box[0] === classIndex).length;
    const alt = "Photo " + photo.id + (shown ? " with " + shown + (shown === 1 ? " box of " : " boxes of ") + data.classes[classIndex] : "");
    return frame(photo, [picture(alt, "", () => jpeg(photo)), boxes(photo, classIndex)]);
  }

  function mapFrame(photo, entry, model) {
    const seen = entry && entry.models[model];
    if (!seen || !seen.map) {
      const words = data.models[model] + (seen ? ": the heatmap is missing" : " did not explain this photo");
      return frame(photo, [element("p", { className: "none", textContent: words })]);
    }
    const under = photo.picture ? [picture("", "under", () => jpeg(photo))] : [];
    const alt = "Heatmap of " + data.models[model] + " for " + data.classes[entry.class] + " in photo " + photo.id;
    return frame(photo, [...under, picture(alt, "map", () => "data:image/png;base64," + seen.map)]);
  }

  function pictures(photo, classIndex, models, withPhoto) {
    const entry = entryOf.get(photoOf.get(photo.id) + ":" + classIndex);
    const frames = models.map((model) => mapFrame(photo, entry, model));
    if (withPhoto) frames.unshift(photoFrame(photo, classIndex));
    return element("div", { className: "pics" }, frames);
  }

  function fillTiles() {
    for (const list of document.querySelectorAll(".tiles")) {
      const models = list.dataset.models.split(",").map(Number);
      if (models.length > 1) list.dataset.many = "";
      for (const item of list.querySelectorAll("li")) {
        const photo = data.photos[photoOf.get(item.dataset.image)];
        if (photo) item.prepend(pictures(photo, Number(list.dataset.class), models, "photoToo" in list.dataset));
      }
    }
  }

  // Tables: a heading is a button; the first press shows the largest number, or the first name.
  function sortable(table) {
    const body = table.tBodies[0];
    const buttons = [...table.querySelectorAll("th button[data-sort]")];
    for (const button of buttons) button.addEventListener("click", () => {
      const heading = button.closest("th"), column = heading.cellIndex, text = button.dataset.sort === "text";
      const before = heading.getAttribute("aria-sort");
      const order = before === "none" ? (text ? "ascending" : "descending") : before === "ascending" ? "descending" : "ascending";
      for (const other of buttons) other.closest("th").setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const value = (row) => row.cells[column].dataset.value;
      const rows = [...body.rows];
      rows.sort((a, b) => {
        const x = value(a), y = value(b);
        if (text) return sign * x.localeCompare(y, "en", { numeric: true });
        if (x === "" || y === "") return (x === "") - (y === "");
        return sign * (Number(x) - Number(y));
      });
      body.append(...rows);
    });
  }

  // The gallery.
  const cards = document.getElementById("gallery-cards");
  const step = 12;
  let chosen = [], shown = 0;

  function caption(model, seen) {
    const parts = [element("strong", { textContent: data.models[model] })];
    if (!seen) return element("figcaption", {}, parts);
    parts.push(" f(x) = " + sayScore(seen.score) + (seen.predicted ? ", predicted" : ", not predicted"));
    if (seen.ratio !== null) parts.push(" · μ " + say(seen.ratio));
    if (seen.cluster !== null) parts.push(" · group " + (seen.cluster + 1));
    return element("figcaption", {}, parts);
  }

  function card(entry) {
    const photo = data.photos[entry.photo];
    const wrong = errors(entry).map((model) => data.models[model]);
    const title = element("h3", {}, [element("span", { className: "id", textContent: photo.id })]);
    if (wrong.length) {
      const words = (entry.shown ? "missed by " : "wrongly predicted by ") + wrong.join(" and ");
      title.append(element("span", { className: "wrong", textContent: words }));
    }
    const own = element("figure", {}, [photoFrame(photo, entry.class), element("figcaption", {
      textContent: entry.shown ? "shows " + data.classes[entry.class] : "does not show " + data.classes[entry.class] })]);
    const maps = data.models.map((name, model) => element("figure", {}, [mapFrame(photo, entry, model), caption(model, entry.models[model])]));
    const row = element("div", { className: "row" }, [own, ...maps]);
    row.style.setProperty("--columns", 1 + maps.length);
    return element("article", { className: "card" }, [title, row]);
  }

  function errors(entry) {
    const found = [];
    entry.models.forEach((seen, model) => {
      if (seen && seen.predicted !== entry.shown) found.push(model);
    });
    return found;
  }

  function more() {
    const next = chosen.slice(shown, shown + step);
    cards.append(...next.map(card));
    shown += next.length;
    document.getElementById("gallery-more").hidden = shown >= chosen.length;
    const count = document.getElementById("gallery-count");
    count.textContent = chosen.length ? shown + " of " + chosen.length + " shown" : "No photo of this kind.";
  }

  function filters(entries) {
    const list = [["all", "all photos", entries]];
    const many = data.models.length > 1;
    data.models.forEach((name, model) => {
      const rated = entries.filter((entry) => entry.models[model] && entry.models[model].ratio !== null);
      const by = many ? ", " + name : "";
      if (!rated.length) return;
      const up = [...rated].sort((a, b) => a.models[model].ratio - b.models[model].ratio);
      list.push(["high" + model, "highest context first" + by, [...up].reverse()], ["low" + model, "lowest context first" + by, up]);
    });
    list.push(["missed", "errors: missed", entries.filter((entry) => entry.shown && errors(entry).length)]);
    list.push(["wrong", "errors: wrongly predicted", entries.filter((entry) => !entry.shown && errors(entry).length)]);
    data.models.forEach((name, model) => {
      const groups = new Set(entries.map((entry) => entry.models[model] && entry.models[model].cluster));
      for (const group of [...groups].filter((one) => one !== null && one !== undefined).sort((a, b) => a - b)) {
        const members = entries.filter((entry) => entry.models[model] && entry.models[model].cluster === group);
        list.push(["group" + model + "." + group, "group " + (group + 1) + (many ? ", " + name : ""), members]);
      }
    });
    return list;
  }

  function gallery() {
    const classes = document.getElementById("gallery-class"), filter = document.getElementById("gallery-filter");
    let list = [];
    const present = new Set(data.entries.map((entry) => entry.class));
    data.classes.forEach((name, index) => {
      if (present.has(index)) classes.append(element("option", { value: String(index), textContent: name }));
    });
    function show() {
      const found = list.find((one) => one[0] === filter.value) || list[0];
      chosen = found[2];
      shown = 0;
      cards.replaceChildren();
      more();
    }
    function open() {
      const kept = filter.value;
      list = filters(data.entries.filter((entry) => entry.class === Number(classes.value)));
      filter.replaceChildren(...list.map(([key, words, entries]) =>
        element("option", { value: key, textContent: words + " (" + entries.length + ")", disabled: !entries.length })));
      const again = list.find((one) => one[0] === kept && one[2].length);
      filter.value = again ? kept : "all";
      show();
    }
    classes.addEventListener("change", open);
    filter.addEventListener("change", show);
    document.getElementById("gallery-more").addEventListener("click", () => {
      const first = shown;
      more();
      const next = cards.children[first];
      if (next) { next.tabIndex = -1; next.focus({ preventScroll: true }); }
    });
    const slider = document.getElementById("overlay");
    const mix = () => {
      document.documentElement.style.setProperty("--mix", String(slider.value / 100));
      slider.setAttribute("aria-valuetext", slider.value + " % heatmap");
    };
    slider.addEventListener("input", mix);
    mix();
    const check = document.getElementById("show-boxes");
    const toggle = () => document.body.classList.toggle("no-boxes", !check.checked);
    check.addEventListener("change", toggle);
    toggle();
    for (const link of document.querySelectorAll("[data-open-class]")) link.addEventListener("click", () => {
      classes.value = link.dataset.openClass;
      if (classes.value) open();
    });
    open();
  }

  // A map of heatmaps: one stop for Tab, arrow keys within; pointing or focus shows the photo.
  function scatter(drawing) {
    const marks = [...drawing.querySelectorAll(".mark")];
    const preview = drawing.closest(".embedding").querySelector(".preview");
    function show(mark) {
      for (const other of marks) other.classList.toggle("current", other === mark);
      const id = mark.dataset.image, photo = data.photos[photoOf.get(id)];
      const words = element("p", { className: "caption" }, [element("span", { className: "id", textContent: mark.getAttribute("aria-label") })]);
      const content = photo ? [pictures(photo, Number(drawing.dataset.class), [Number(drawing.dataset.model)], true), words]
        : [words, element("p", { className: "soft", textContent: "Its picture is in the pages of its class." })];
      preview.replaceChildren(...content);
    }
    function go(mark) {
      for (const other of marks) other.setAttribute("tabindex", other === mark ? "0" : "-1");
      mark.focus();
    }
    if (marks.length) show(marks[0]);
    marks.forEach((mark, index) => {
      mark.addEventListener("pointerenter", () => show(mark));
      mark.addEventListener("focus", () => show(mark));
      mark.addEventListener("click", () => go(mark));
      mark.addEventListener("keydown", (event) => {
        const last = marks.length - 1;
        const to = { ArrowRight: index + 1, ArrowDown: index + 1, ArrowLeft: index - 1, ArrowUp: index - 1, Home: 0, End: last }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        go(marks[Math.min(Math.max(to, 0), last)]);
      });
    });
  }

  function contents() {
    const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
    const inView = new IntersectionObserver((seen) => {
      for (const one of seen) if (one.isIntersecting) {
        for (const link of links.values()) link.removeAttribute("aria-current");
        links.get(one.target.id).setAttribute("aria-current", "true");
      }
    }, { rootMargin: "-10% 0px -80% 0px" });
    for (const id of links.keys()) inView.observe(document.getElementById(id));
  }

  fillTiles();
  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll(".scatter").forEach(scatter);
  if (cards) gallery();
  contents();
}());
