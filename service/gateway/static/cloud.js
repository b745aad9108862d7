// A point cloud in plain WebGL2: round shaded points, orbit by pointer, touch and keys.

const VERTEX = `#version 300 es
layout(location=0) in vec3 position;
layout(location=1) in vec3 normal;
layout(location=2) in vec3 color;
layout(location=3) in vec3 before;
uniform mat4 view, projection;
uniform float radius, pixels, blend;
out vec3 tint;
out vec3 facing;
void main() {
  vec4 eye = view * vec4(mix(before, position, blend), 1.0);
  gl_Position = projection * eye;
  gl_PointSize = clamp(2.0 * radius * projection[1][1] * pixels * 0.5 / gl_Position.w, 1.5, 64.0);
  facing = mat3(view) * normal;
  tint = pow(color, vec3(2.2));
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec3 tint;
in vec3 facing;
uniform bool solid;
out vec4 pixel;
void main() {
  vec2 at = gl_PointCoord * 2.0 - 1.0;
  float r = dot(at, at);
  float soft = fwidth(r);
  float cover = 1.0 - smoothstep(1.0 - soft, 1.0 + soft, r);
  if (cover < 0.02) discard;
  float size = length(facing);
  // The colours are a picture's and hold its light already, so this light is mild.
  // Without normals a point is lit like a little ball.
  vec3 n = size > 0.1 ? facing / size : normalize(vec3(at.x, -at.y, sqrt(max(1.0 - r, 0.0))));
  float key = max(dot(n, normalize(vec3(0.4, 0.7, 0.6))), 0.0);
  float fill = max(dot(n, normalize(vec3(-0.7, 0.1, 0.5))), 0.0);
  float sky = 0.5 + 0.5 * n.y;
  vec3 light = vec3(0.34, 0.35, 0.37) * sky + vec3(0.30) + vec3(0.52, 0.50, 0.46) * key + vec3(0.10, 0.11, 0.13) * fill;
  pixel = vec4(pow(tint * light, vec3(1.0 / 2.2)), solid ? 1.0 : cover);
}`;

const START = { turn: -0.4, tilt: 0.18, distance: 2.1 };
const FIELD = 0.65; // vertical field of view, radians
const GLIDE_MS = 350; // from one preview to the next

export class CloudView {
  constructor(canvas) {
    this.canvas = canvas;
    const gl = canvas.getContext("webgl2", { antialias: true, alpha: true });
    if (!gl) throw new Error("This browser has no WebGL 2.");
    this.gl = gl;
    this.count = 0;
    this.radius = 0.01;
    this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.pointers = new Map();
    this.reset();
    this.prepare();
    this.listen();
    new ResizeObserver(() => this.redraw()).observe(canvas);
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => { this.prepare(); if (this.cloud) this.show(this.cloud); });
  }

  reset() {
    Object.assign(this, START);
    this.spinning = !this.still;
    this.redraw();
  }

  /** With `stay` the camera does not move, and points glide over from the cloud before. */
  show(cloud, { stay = false } = {}) {
    const gl = this.gl;
    const glide = stay && !this.still && this.cloud?.count === cloud.count;
    const before = glide ? this.positions(performance.now()) : cloud.positions;
    this.before = before;
    this.shown = glide ? performance.now() : -Infinity;
    this.cloud = cloud;
    this.count = cloud.count;
    gl.bindVertexArray(this.array);
    const put = (buffer, place, data, type, normalised) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, 3, type, normalised, 0, 0);
    };
    put(this.buffers[0], 0, cloud.positions, gl.FLOAT, false);
    put(this.buffers[1], 1, cloud.normals, gl.FLOAT, false);
    put(this.buffers[2], 2, cloud.colors, gl.UNSIGNED_BYTE, true);
    put(this.buffers[3], 3, before, gl.FLOAT, false);
    // Discs that just overlap: the points share a surface of about that of a unit ball. Points
    // without normals are on no surface yet.
    const size = cloud.normals.some(Boolean) ? 1.0 : 0.6;
    this.radius = Math.min(Math.max(size / Math.sqrt(Math.max(cloud.count, 1)), 0.004), 0.03);
    if (stay) this.redraw();
    else this.reset();
  }

  /** How far the points have come from the cloud before, 0 to 1. */
  blend(now) {
    const share = Math.min(Math.max((now - this.shown) / GLIDE_MS, 0), 1);
    return share * share * (3 - 2 * share);
  }

  /** Where the points of the cloud on the screen are now. */
  positions(now) {
    const share = this.blend(now), { before } = this;
    return this.cloud.positions.map((value, index) => before[index] + share * (value - before[index]));
  }

  prepare() {
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
      throw new Error(gl.getProgramInfoLog(program) || "the shaders do not link");
    }
    this.program = program;
    this.places = Object.fromEntries(
      ["view", "projection", "radius", "pixels", "blend", "solid"].map((name) => [name, gl.getUniformLocation(program, name)]),
    );
    this.array = gl.createVertexArray();
    this.buffers = Array.from({ length: 4 }, () => gl.createBuffer());
  }

  redraw() {
    if (!this.waiting) this.waiting = requestAnimationFrame((now) => { this.waiting = 0; this.draw(now); });
  }

  draw(now) {
    const { gl, canvas } = this;
    if (!this.count || !canvas.clientWidth) return;
    const scale = Math.min(devicePixelRatio || 1, 2);
    const width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    if (this.spinning) {
      this.turn += Math.min(now - (this.drawn || now), 100) * 0.0004;
      this.redraw();
    }
    this.drawn = now;
    const blend = this.blend(now);
    if (blend < 1) this.redraw();
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.useProgram(this.program);
    gl.uniformMatrix4fv(this.places.view, false, this.viewMatrix());
    gl.uniformMatrix4fv(this.places.projection, false, this.projectionMatrix(width / height));
    gl.uniform1f(this.places.radius, this.radius);
    gl.uniform1f(this.places.pixels, height);
    gl.uniform1f(this.places.blend, blend);
    gl.bindVertexArray(this.array);
    // Coverage from alpha gives soft edges without sorting. The samples that it covers are then
    // made opaque, so that the page does not shine through.
    gl.enable(gl.SAMPLE_ALPHA_TO_COVERAGE);
    gl.uniform1i(this.places.solid, 0);
    gl.drawArrays(gl.POINTS, 0, this.count);
    gl.disable(gl.SAMPLE_ALPHA_TO_COVERAGE);
    gl.uniform1i(this.places.solid, 1);
    gl.depthFunc(gl.EQUAL);
    gl.colorMask(false, false, false, true);
    gl.drawArrays(gl.POINTS, 0, this.count);
    gl.colorMask(true, true, true, true);
    gl.depthFunc(gl.LESS);
  }

  viewMatrix() {
    const [c, s, C, S] = [Math.cos(this.turn), Math.sin(this.turn), Math.cos(this.tilt), Math.sin(this.tilt)];
    return new Float32Array([c, S * s, -C * s, 0, 0, C, S, 0, s, -S * c, C * c, 0, 0, 0, -this.distance, 1]);
  }

  projectionMatrix(aspect) {
    const near = 0.05, far = 20;
    // In a narrow window the width, not the height, must hold the object.
    const f = Math.min(1, aspect) / Math.tan(FIELD / 2);
    return new Float32Array([
      f / aspect, 0, 0, 0, 0, f, 0, 0, 0, 0, (far + near) / (near - far), -1, 0, 0, (2 * far * near) / (near - far), 0,
    ]);
  }

  orbit(dx, dy) {
    this.spinning = false;
    this.turn += dx;
    this.tilt = Math.min(Math.max(this.tilt + dy, -1.5), 1.5);
    this.redraw();
  }

  zoom(factor) {
    this.spinning = false;
    this.distance = Math.min(Math.max(this.distance * factor, 0.7), 8);
    this.redraw();
  }

  listen() {
    const { canvas, pointers } = this;
    const gap = () => {
      const [a, b] = [...pointers.values()];
      return Math.hypot(a.x - b.x, a.y - b.y);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const apart = pointers.size === 2 ? gap() : 0;
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (apart) this.zoom(apart / Math.max(gap(), 1));
      else if (pointers.size === 1) this.orbit((event.clientX - before.x) * 0.008, (event.clientY - before.y) * 0.008);
    });
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => pointers.delete(event.pointerId));
    }
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(event.deltaY * (event.deltaMode ? 0.03 : 0.001)));
    }, { passive: false });
    canvas.addEventListener("dblclick", () => this.reset());
    const keys = {
      ArrowLeft: () => this.orbit(-0.1, 0), ArrowRight: () => this.orbit(0.1, 0),
      ArrowUp: () => this.orbit(0, 0.1), ArrowDown: () => this.orbit(0, -0.1),
      "+": () => this.zoom(0.9), "=": () => this.zoom(0.9), "-": () => this.zoom(1.1),
      0: () => this.reset(), Home: () => this.reset(),
    };
    canvas.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
  }
}
