/**
 * Shaders. Everything is lit in the frame of the camera's turn (right, up, towards the viewer), so
 * that the light comes along when the object is turned, but stays above when it is tilted. They
 * write sRGB, premultiplied.
 */

export const LIGHTING = {
  studio: 0,
  soft: 1,
  flat: 2,
  normals: 3,
} as const;

const CURVES = /* glsl */ `
vec3 toLinear(vec3 c) {
  return mix(c / 12.92, pow((c + 0.055) / 1.055, vec3(2.4)), step(0.04045, c));
}
`;

const LIGHT = /* glsl */ `
uniform int lighting;

// sRGB's curve by roots (I. Taylor, "sRGB approximations for HLSL"): within 2.5 / 255 in what is nearly
// black and 0.3 / 255 elsewhere, and much cheaper than powers.
vec3 toScreen(vec3 c) {
  vec3 root = sqrt(max(c, 0.0));
  vec3 fourth = sqrt(root);
  return max(0.662002687 * root + 0.684122060 * fourth - 0.323583601 * sqrt(fourth) - 0.0225411470 * c, 0.0);
}
float square(float x) { return x * x; }

// The shoulder of the Khronos neutral tone mapper. Its toe is left out: it takes away a reflection
// of 4 % that pictures' colours do not carry.
vec3 compress(vec3 c) {
  const float start = 0.76;
  float peak = max(c.r, max(c.g, c.b));
  if (peak < start) return c;
  float top = 1.0 - (1.0 - start) * (1.0 - start) / (peak + 1.0 - 2.0 * start);
  c *= top / peak;
  return mix(vec3(top), c, 1.0 / (0.15 * (peak - top) + 1.0));
}

// n: unit normal, v: unit vector to the eye, open: share of the sky that is seen.
vec3 lit(vec3 albedo, vec3 n, vec3 v, float open) {
  if (lighting == 2) return toScreen(albedo);
  if (lighting == 3) return 0.5 + 0.5 * n;
  const vec3 keyAt = normalize(vec3(-0.55, 0.75, 0.65));
  const vec3 fillAt = normalize(vec3(0.85, 0.15, 0.5));
  const vec3 rimAt = normalize(vec3(0.35, 0.55, -0.8));
  vec3 sky = mix(vec3(0.36, 0.33, 0.30), vec3(0.80, 0.82, 0.85), 0.5 + 0.5 * n.y);
  if (lighting == 1) return toScreen(compress(albedo * (sky * 0.95 + 0.30 * max(n.z, 0.0)) * mix(0.6, 1.0, open)));
  // The colours are a picture's and hold its light already, so this light wraps far round.
  float key = max((dot(n, keyAt) + 0.35) / 1.35, 0.0);
  float fill = max((dot(n, fillAt) + 0.3) / 1.3, 0.0);
  float rim = max(dot(n, rimAt), 0.0);
  float edge = square(square(1.0 - max(dot(n, v), 0.0)));
  vec3 light = sky * 0.62 * open + vec3(0.66, 0.63, 0.59) * key * mix(0.55, 1.0, open) + vec3(0.13, 0.145, 0.17) * fill;
  float shine = square(square(square(square(square(max(dot(n, normalize(keyAt + v)), 0.0)))))) * 0.07;
  vec3 color = albedo * light + vec3(1.0, 0.97, 0.93) * open * (shine + 0.10 * rim * edge + 0.035 * edge);
  return toScreen(compress(color));
}
`;

export const MESH_VERTEX = /* glsl */ `
in vec3 position;
in vec3 normal;
in vec3 color;
in vec2 uv;
in float open;
uniform mat4 viewMatrix, projectionMatrix;
uniform mat3 rig;
uniform vec3 eyeAt;
out vec3 vNormal, vEye, vColor;
out vec2 vUv;
out float vOpen;
${CURVES}
void main() {
  gl_Position = projectionMatrix * (viewMatrix * vec4(position, 1.0));
  vNormal = rig * normal;
  vEye = rig * (eyeAt - position);
  vColor = toLinear(color);
  vUv = uv;
  vOpen = open;
}`;

export const MESH_FRAGMENT = /* glsl */ `
precision highp float;
in vec3 vNormal, vEye, vColor;
in vec2 vUv;
in float vOpen;
uniform sampler2D map;
uniform bool mapped;
uniform float presence;
out vec4 pixel;
${LIGHT}
// Interleaved gradient noise (Jimenez 2014).
float grain() { return fract(52.9829189 * fract(dot(gl_FragCoord.xy, vec2(0.06711056, 0.00583715)))); }
void main() {
  if (presence < 1.0 && grain() >= presence) discard;
  vec3 albedo = vColor;
  if (mapped) albedo *= texture(map, vUv).rgb;
  vec3 n = normalize(vNormal) * (gl_FrontFacing ? 1.0 : -1.0);
  pixel = vec4(lit(albedo, n, normalize(vEye), vOpen), 1.0);
}`;

// Attributes are few and aligned: software renderers spend most of their time on fetching them.
export const POINT_VERTEX = /* glsl */ `
in vec3 position;
#ifdef GLIDE
in vec3 before;
uniform float arrived;
#endif
in vec4 normal;
in vec4 color; // alpha: share of the sky that is seen
uniform mat4 viewMatrix, projectionMatrix;
uniform mat3 rig;
uniform vec3 eyeAt;
uniform float radius, pixels;
flat out vec3 vColor;
${CURVES}
${LIGHT}
void main() {
#ifdef GLIDE
  vec3 at = mix(before, position, arrived);
#else
  vec3 at = position;
#endif
  gl_Position = projectionMatrix * (viewMatrix * vec4(at, 1.0));
  gl_PointSize = clamp(radius * projectionMatrix[1][1] * pixels / gl_Position.w, 1.25, 96.0);
  vec3 v = rig * normalize(eyeAt - at);
  float size = dot(normal.xyz, normal.xyz);
  vec3 n = size > 0.01 ? rig * normal.xyz * inversesqrt(size) : v;
  // A cloud has no inside: what is seen from behind is lit like a front.
  if (dot(n, v) < 0.0) n = -n;
  vColor = lit(toLinear(color.rgb), n, v, color.a);
}`;

// Light is worked out per point; here a point gets its outline and the look of a bead.
export const POINT_FRAGMENT = /* glsl */ `
precision mediump float;
flat in vec3 vColor;
uniform float roundness;
out vec4 pixel;
void main() {
#ifdef SQUARE
  pixel = vec4(vColor, 1.0);
#else
  vec2 at = gl_PointCoord * 2.0 - 1.0;
  float r = dot(at, at);
  if (r > 1.0) discard;
  pixel = vec4(vColor * (1.0 - roundness * (0.42 * r * r + 0.3 * (0.6 * at.x + at.y))), 1.0);
#endif
}`;

export const SHADOW_VERTEX = /* glsl */ `
in vec3 position;
uniform mat4 viewMatrix, projectionMatrix;
uniform vec4 place;
out vec2 vAt;
void main() {
  vAt = position.xy * 0.5 + 0.5;
  gl_Position = projectionMatrix * viewMatrix * vec4(place.xyz + place.w * vec3(position.x, 0.0, position.y), 1.0);
}`;

export const SHADOW_FRAGMENT = /* glsl */ `
precision mediump float;
in vec2 vAt;
uniform sampler2D map;
uniform float strength;
out vec4 pixel;
void main() { pixel = vec4(vec3(0.05, 0.035, 0.025), 1.0) * texture(map, vAt).r * strength; }`;

export const WIRE_FRAGMENT = /* glsl */ `
precision mediump float;
uniform float presence;
out vec4 pixel;
void main() { pixel = vec4(0.09, 0.07, 0.06, 1.0) * 0.5 * presence; }`;

export const SCREEN_VERTEX = /* glsl */ `
in vec3 position;
out vec2 vAt;
void main() { vAt = position.xy * 0.5 + 0.5; gl_Position = vec4(position.xy, 0.0, 1.0); }`;

export const SCREEN_FRAGMENT = /* glsl */ `
precision highp float;
in vec2 vAt;
uniform sampler2D map;
uniform float weight;
out vec4 pixel;
void main() { pixel = texture(map, vAt) * weight; }`;
