import{h as p,_ as jt,i as pt,s as Wt,g as $t,T as Bt,b as N}from"./shared.js";import{V as qt,M as Xt,R as Kt,D as Yt,G as Zt,O as Jt,a as H,C as mt,B as gt,P as Qt,b as wt,c as V,d as te,e as F,T as ee,S as se,L as ne,f as bt,g as ie,h as oe,i as re,j as vt,W as Y,N as I,H as ae,k as yt,l as le,m as he,n as ce,o as ue}from"./three.js";function xt({usdz:n,mesh:t}){return n&&document.createElement("a").relList.supports("ar")?"quick-look":(t?.url?.startsWith("https:")??!1)&&/android/i.test(navigator.userAgent)?"scene-viewer":null}async function de(n,{usdz:t,mesh:e},s){if(n==="scene-viewer"){p("a",{href:fe(e?.url??"",s)}).click();return}const i=await t.load(new AbortController().signal),o=URL.createObjectURL(i);p("a",{href:o,rel:"ar"},p("img")).click(),setTimeout(()=>URL.revokeObjectURL(o),6e4)}function fe(n,t){const e=new URLSearchParams({file:n,mode:"ar_preferred",title:t}),s=["scheme=https","package=com.google.android.googlequicksearchbox","action=android.intent.action.VIEW",`S.browser_fallback_url=${encodeURIComponent(n)}`,"end;"].join(";");return`intent://arvr.google.com/scene-viewer/1.2?${e}#Intent;${s}`}const T=["studio","soft","flat","normals"],pe=["full","minimal","none"],Mt=.4,At=2.5;class me extends HTMLElement{get points(){return this.getAttribute("points")}set points(t){this.#t("points",t)}get mesh(){return this.getAttribute("mesh")}set mesh(t){this.#t("mesh",t)}get usdz(){return this.getAttribute("usdz")}set usdz(t){this.#t("usdz",t)}get show(){return this.getAttribute("show")==="points"?"points":"mesh"}set show(t){this.#t("show",t)}get pointSize(){const t=Number.parseFloat(this.getAttribute("point-size")??"");return t>0?Math.min(Math.max(t,Mt),At):1}set pointSize(t){this.#t("point-size",String(t))}get lighting(){return this.#e("lighting",T,"studio")}set lighting(t){this.#t("lighting",t)}get wireframe(){return this.hasAttribute("wireframe")}set wireframe(t){this.toggleAttribute("wireframe",t)}get turntable(){return this.hasAttribute("turntable")}set turntable(t){this.toggleAttribute("turntable",t)}get label(){return this.getAttribute("label")||"3D object"}set label(t){this.#t("label",t)}get apiKey(){return this.getAttribute("api-key")||null}set apiKey(t){this.#t("api-key",t)}get server(){return this.getAttribute("server")??""}set server(t){this.#t("server",t)}get controls(){return this.#e("controls",pe,"full")}set controls(t){this.#t("controls",t)}get noDownloads(){return this.hasAttribute("no-downloads")}set noDownloads(t){this.toggleAttribute("no-downloads",t)}get poster(){return this.getAttribute("poster")}set poster(t){this.#t("poster",t)}#t(t,e){e===null?this.removeAttribute(t):this.setAttribute(t,e)}#e(t,e,s){return e.find(i=>i===this.getAttribute(t))??s}}class y extends Error{constructor(t,e,s){super(e),this.code=t,this.detail=e,this.retryable=s}code;detail;retryable;name="ViewerError"}function g(n){return new y("unreadable_file",n,!1)}function Et(){const n="The server keeps results for a while only, and this one is gone.";return new y("job_expired",n,!1)}const ge={no_webgl:"3D is not available here",no_connection:"No connection",job_expired:"This object has expired",unreadable_file:"The file cannot be shown"};function we(n){return ge[n.code]??"The object could not be loaded"}function A(n){if(n instanceof y)return n;const{code:t,detail:e,retryable:s}=Object(n);return t==="expired"?Et():typeof t=="string"&&typeof e=="string"?new y(t,e,s===!0||t==="no_connection"):g(n instanceof Error?n.message:String(n))}function q(n){return n instanceof DOMException&&n.name==="AbortError"}const G=.5,be=1.17,ve=4e3,j={center:[0,0,0],radius:.5,ground:-.4,rings:[[.5,0],[.42,.27],[.42,-.27],[.2,.458],[.2,-.458]]};function Z(n){const t=[1/0,1/0,1/0],e=[-1/0,-1/0,-1/0];for(let l=0;l<n.length;l++){const h=n[l],c=l%3;h<t[c]&&(t[c]=h),h>e[c]&&(e[c]=h)}const s=l=>(t[l]+e[l])/2,i=[s(0),s(1),s(2)],o=3*Math.max(1,Math.ceil(n.length/3/ve)),r=[];let a=0;for(let l=0;l<n.length;l+=o){const[h,c,u]=[0,1,2].map(d=>n[l+d]-i[d]),f=[Math.hypot(h??0,u??0),c??0];a=Math.max(a,Math.hypot(...f)),r.push(f)}return{center:i,radius:a||.5,ground:t[1],rings:r}}function J(n,t,e){const s=Math.tan(G/2),[i,o]=[Math.sin(t),Math.cos(t)],r=(l,h,c)=>Math.hypot(l,h)+c;let a=0;for(const[l,h]of n.rings){const c=r(l/(s*e),l*o,h*i),u=r(0,l*(o-i/s),h*(i+o/s)),f=r(0,l*(o+i/s),h*(i-o/s));a=Math.max(a,c,u,f)}return be*Math.max(a,n.radius*1.05)}function z(n){return n*n*(3-2*n)}const Q={studio:0,soft:1,flat:2,normals:3},St=`
vec3 toLinear(vec3 c) {
  return mix(c / 12.92, pow((c + 0.055) / 1.055, vec3(2.4)), step(0.04045, c));
}
`,Lt=`
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
`,tt=`
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
${St}
void main() {
  gl_Position = projectionMatrix * (viewMatrix * vec4(position, 1.0));
  vNormal = rig * normal;
  vEye = rig * (eyeAt - position);
  vColor = toLinear(color);
  vUv = uv;
  vOpen = open;
}`,ye=`
precision highp float;
in vec3 vNormal, vEye, vColor;
in vec2 vUv;
in float vOpen;
uniform sampler2D map;
uniform bool mapped;
uniform float presence;
out vec4 pixel;
${Lt}
// Interleaved gradient noise (Jimenez 2014).
float grain() { return fract(52.9829189 * fract(dot(gl_FragCoord.xy, vec2(0.06711056, 0.00583715)))); }
void main() {
  if (presence < 1.0 && grain() >= presence) discard;
  vec3 albedo = vColor;
  if (mapped) albedo *= texture(map, vUv).rgb;
  vec3 n = normalize(vNormal) * (gl_FrontFacing ? 1.0 : -1.0);
  pixel = vec4(lit(albedo, n, normalize(vEye), vOpen), 1.0);
}`,xe=`
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
${St}
${Lt}
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
}`,Me=`
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
}`,Ae=`
in vec3 position;
uniform mat4 viewMatrix, projectionMatrix;
uniform vec4 place;
out vec2 vAt;
void main() {
  vAt = position.xy * 0.5 + 0.5;
  gl_Position = projectionMatrix * viewMatrix * vec4(place.xyz + place.w * vec3(position.x, 0.0, position.y), 1.0);
}`,Ee=`
precision mediump float;
in vec2 vAt;
uniform sampler2D map;
uniform float strength;
out vec4 pixel;
void main() { pixel = vec4(vec3(0.05, 0.035, 0.025), 1.0) * texture(map, vAt).r * strength; }`,Se=`
precision mediump float;
uniform float presence;
out vec4 pixel;
void main() { pixel = vec4(0.09, 0.07, 0.06, 1.0) * 0.5 * presence; }`,Le=`
in vec3 position;
out vec2 vAt;
void main() { vAt = position.xy * 0.5 + 0.5; gl_Position = vec4(position.xy, 0.0, 1.0); }`,ke=`
precision highp float;
in vec2 vAt;
uniform sampler2D map;
uniform float weight;
out vec4 pixel;
void main() { pixel = texture(map, vAt) * weight; }`;class Te{uniforms={lighting:{value:Q.studio},rig:{value:new Xt},eyeAt:{value:new qt}};set(t){this.uniforms.lighting.value=Q[t]}follow(t,e){const[s,i]=[Math.sin(t),Math.cos(t)];this.uniforms.rig.value.set(i,0,-s,0,1,0,s,0,i),this.uniforms.eyeAt.value.copy(e)}}function _(n,t,e,s={}){return new Kt({glslVersion:Zt,vertexShader:n,fragmentShader:t,uniforms:e,side:Yt,...s})}const kt={transparent:!0,depthWrite:!1,blending:mt,blendSrc:H,blendDst:Jt},v=48,ze=[{away:2.6,reach:1,weight:.9},{away:5,reach:2,weight:.8},{away:9,reach:4,weight:.7}];function Tt(n,t,e,s){const i=new Float32Array(v**3),o=(v-4)/(2*s.radius),r=(u,f)=>(u-s.center[f])*o+v/2;for(let u=0;u<e.length;u+=3){const[f,d,m]=[0,1,2].map(w=>Math.floor(r(e[u+w],w)));i[((m??0)*v+(d??0))*v+(f??0)]=1}const a=n.length/3,l=new Float32Array(a);let h=0;for(const{away:u,reach:f,weight:d}of ze){for(;h<f;h++)Ie(i);for(let m=0;m<a;m++){const w=3*m,b=x=>r(n[w+x],x)+u*t[w+x]-.5;l[m]=l[m]+d*_e(i,b(0),b(1),b(2))}}const c=new Uint8Array(a);for(let u=0;u<a;u++){const f=(n[3*u+1]-s.ground)/s.radius,m=.55*Math.max(-t[3*u+1]+.25,0)*Math.exp(-f/.35);c[u]=Math.round(255*Math.exp(-1.6*l[u])*(1-Math.min(m,.6)))}return c}function _e(n,t,e,s){const[i,o,r]=[Math.floor(t),Math.floor(e),Math.floor(s)];if(Math.min(i,o,r)<0||Math.max(i,o,r)>=v-1)return 0;const[a,l,h]=[t-i,e-o,s-r],c=(r*v+o)*v+i,u=d=>n[d]*(1-a)+n[d+1]*a,f=d=>u(d)*(1-l)+u(d+v)*l;return f(c)*(1-h)+f(c+v*v)*h}function Ie(n){for(const t of[1,v,v*v])for(let e=0;e<n.length;e++){if(Math.floor(e/t)%v)continue;let[s,i]=[0,n[e]];for(let o=0;o<v;o++){const r=e+o*t,a=o+1<v?n[r+t]:0;n[r]=(s+i+a)/3,[s,i]=[i,a]}}}function Ce(n,t){const e=n.surfaces.map(({positions:a,index:l})=>Array.from({length:l.length/3},(h,c)=>Re(a,l,3*c))),s=e.flat().reduce((a,l)=>a+l,0),i=[];let o=0,r=0;return n.surfaces.forEach(({positions:a,index:l},h)=>{e[h]?.forEach((c,u)=>{o+=s>0?c/s*t:0;for(let f=Math.max(1,Math.round(o));f>0;f--,o--){let[d,m]=[(.5+.7548776662*r)%1,(.5+.5698402909*r)%1];r++,d+m>1&&([d,m]=[1-d,1-m]);for(let w=0;w<3;w++){const b=x=>a[3*l[3*u+x]+w]??0;i.push(b(0)*(1-d-m)+b(1)*d+b(2)*m)}}o=Math.max(o,0)})}),Float32Array.from(i)}function Re(n,t,e){const s=(r,a)=>n[3*t[e+r]+a]??0,i=(r,a)=>s(r,a)-s(0,a),o=(r,a)=>i(1,r)*i(2,a)-i(1,a)*i(2,r);return Math.hypot(o(0,1),o(1,2),o(2,0))/2}function Fe(n){const t=n.length/3,e=Math.min(6,t-1);if(e<1)return 0;const s=Math.max(8,Math.min(200,t,Math.floor(4e6/t))),i=[];for(let o=0;o<s;o++){const r=3*Math.floor(o*t/s),a=new Array(e+1).fill(1/0);for(let l=0;l<n.length;l+=3){const h=n[l]-n[r],c=n[l+1]-n[r+1],u=n[l+2]-n[r+2],f=h*h+c*c+u*u;if(f>=a[e])continue;let d=e;for(;d>0&&a[d-1]>f;d--)a[d]=a[d-1];a[d]=f}i.push(Math.sqrt(a[e]))}return i.sort((o,r)=>o-r),i[Math.floor(i.length/2)]}function W(n){return n.positions.length/3}function Pe(n){return n.surfaces.reduce((t,e)=>t+e.index.length/3,0)}const Oe=.4,Ne=2.5,De=8192,zt=[201,178,160];class Ue{constructor(t,e,s,i=null){this.cloud=t;const{positions:o,normals:r}=t,a=W(t);this.#e=_t(t,e),this.#r=i,this.#t=i?0:1,this.#s=He(a);const l=new gt,h=(u,f,d)=>l.setAttribute(u,new V(f,d,!(f instanceof Float32Array))),c=r&&Tt(o,r,o,e);h("position",this.#l(o,new Float32Array(3*a)),3),i&&h("before",this.#l(i,new Float32Array(3*a)),3),h("normal",this.#a(r),4),h("color",this.#p(t.colors,c),4),this.#h={...s.uniforms,radius:{value:0},pixels:{value:1},arrived:{value:1},roundness:{value:r?.5:.7}},this.points=new Qt(l),this.points.frustumCulled=!1}cloud;points;size=1;presence=1;#t;#e;#s;#r;#h;#n=new Map;#i=new wt;tick(t){return this.#t=Math.min(this.#t+t/Oe,1),this.#t<1}now(){const t=z(this.#t),e=this.#r;return!e||t===1?this.cloud.positions:this.cloud.positions.map((s,i)=>e[i]+t*(s-e[i]))}prepare(t,e,s){const i=W(this.cloud),o=Math.min(Math.max(Math.ceil(i*s),De),i);this.points.geometry.setDrawRange(0,o),t.getDrawingBufferSize(this.#i);const r=this.#e*this.size*z(this.presence)*Math.sqrt(i/o);this.#h.radius.value=r,this.#h.pixels.value=this.#i.y,this.#h.arrived.value=z(this.#t),this.points.visible=this.presence>0,this.points.material=this.#c(r/e*this.#i.y<Ne,this.#t<1)}dispose(){this.points.geometry.dispose();for(const t of this.#n.values())t.dispose()}#c(t,e){const s=`${t} ${e}`,i=this.#n.get(s);if(i)return i;const o={...t&&{SQUARE:""},...e&&{GLIDE:""}},r=_(xe,Me,this.#h,{defines:o});return this.#n.set(s,r),r}#l(t,e){return this.#s.forEach((s,i)=>{for(let o=0;o<3;o++)e[3*i+o]=t[3*s+o]}),e}#a(t){const e=new Int8Array(4*this.#s.length);return this.#s.forEach((s,i)=>{for(let o=0;o<3;o++)e[4*i+o]=127*(t?.[3*s+o]??0)}),e}#p(t,e){const s=new Uint8Array(4*this.#s.length);return this.#s.forEach((i,o)=>{for(let r=0;r<3;r++)s[4*o+r]=t?.[3*i+r]??zt[r];s[4*o+3]=e?.[i]??255}),s}}function _t(n,t){const s=(Fe(n.positions)||t.radius)*(n.normals?.55:.36);return Math.min(Math.max(s,.003*t.radius),.08*t.radius)}function He(n){const t=Uint32Array.from({length:n},(s,i)=>i);let e=1;for(let s=n-1;s>0;s--){e=48271*e%2147483647;const i=e%(s+1);[t[s],t[i]]=[t[i],t[s]]}return t}async function Ve(n){try{return await Promise.all(n.surfaces.map(({image:t})=>t?createImageBitmap(t,{colorSpaceConversion:"none"}):null))}catch{throw g("The picture in the file cannot be read.")}}class Ge{constructor(t,e,s,i,o){this.mesh=t,this.light=o,t.surfaces.forEach((r,a)=>this.#r(r,e[a]??null,s,i))}mesh;light;group=new te;#t=[];#e=[];#s={presence:{value:1}};set presence(t){this.#s.presence.value=t,this.group.visible=t>0}set wireframe(t){for(const e of this.#t)e.visible=t}dispose(){for(const t of this.#t)t.geometry.dispose();for(const t of this.#e)t.uniforms.map?.value?.dispose(),t.dispose()}#r(t,e,s,i){const{positions:o,normals:r,uv:a,index:l}=t,h=o.length/3,c=new gt,u=(b,x,Gt=3)=>c.setAttribute(b,new V(x,Gt,x instanceof Uint8Array));u("position",o),u("normal",r),u("color",t.colors??We(h,e!==null)),u("uv",a??new Float32Array(2*h),2),u("open",Tt(o,r,s,i),1),c.setIndex(new V(l,1));const f=e&&je(e),d=_(tt,ye,{...this.light.uniforms,...this.#s,map:{value:f},mapped:{value:f!==null}},{polygonOffset:!0,polygonOffsetFactor:1,polygonOffsetUnits:1}),m=_(tt,Se,{...this.light.uniforms,...this.#s},{...kt,wireframe:!0});this.#e.push(d,m);const w=new F(c,m);w.visible=!1,this.#t.push(w);for(const b of[new F(c,d),w])b.frustumCulled=!1,this.group.add(b)}}function je(n){const t=new ee(n);return t.colorSpace=se,t.flipY=!1,t.minFilter=ne,t.magFilter=bt,t.anisotropy=4,t.needsUpdate=!0,t}function We(n,t){return t?new Uint8Array(3*n).fill(255):Uint8Array.from({length:3*n},(e,s)=>zt[s%3])}const $e={5120:[1,(n,t)=>n.getInt8(t),127],5121:[1,(n,t)=>n.getUint8(t),255],5122:[2,(n,t)=>n.getInt16(t,!0),32767],5123:[2,(n,t)=>n.getUint16(t,!0),65535],5125:[4,(n,t)=>n.getUint32(t,!0),4294967295],5126:[4,(n,t)=>n.getFloat32(t,!0),1]},Be={SCALAR:1,VEC2:2,VEC3:3,VEC4:4};class X{constructor(t,e){this.gltf=t,this.views=e}gltf;views;static async open(t,e){const s=t.bufferViews??[],o=s.some(a=>a.extensions?.EXT_meshopt_compression)?await qe():null,r=({byteOffset:a=0,byteLength:l})=>{if(a+l>e.byteLength)throw g("The file is cut short.");return e.slice(a,a+l)};return new X(t,s.map(a=>{const l=a.extensions?.EXT_meshopt_compression;if(!l||!o)return r(a);const{count:h,byteStride:c,mode:u,filter:f}=l,d=new Uint8Array(h*c);try{o.decodeGltfBuffer(d,h,c,r(l),u,f)}catch{throw g("The compressed part of the file is broken.")}return d}))}view(t){const e=this.views[t];if(!e)throw g("The file refers to data that it does not have.");return e}width(t){return Be[this.gltf.accessors?.[t]?.type??""]??0}numbers(t,e){const s=this.gltf.accessors?.[t],i=$e[s?.componentType??0];if(!s||!i||this.width(t)!==e)throw g("The file has data of an unexpected type.");if(s.sparse)throw g("The file has sparse data, which is not read.");const[o,r,a]=i,l=new Float64Array(s.count*e);if(s.bufferView===void 0)return l;const h=this.view(s.bufferView),c=new DataView(h.buffer,h.byteOffset,h.byteLength),u=this.gltf.bufferViews?.[s.bufferView]?.byteStride??o*e,f=s.byteOffset??0;if(f+u*(s.count-1)+o*e>h.byteLength)throw g("The file is cut short.");for(let d=0,m=0;d<s.count;d++)for(let w=0;w<e;w++){const b=r(c,f+d*u+w*o);l[m++]=s.normalized?Math.max(b/a,-1):b}return l}}async function qe(){const{MeshoptDecoder:n}=await jt(async()=>{const{MeshoptDecoder:t}=await import("./meshopt.js");return{MeshoptDecoder:t}},[]);return await n.ready,n}const Xe=[1,0,0,0,0,1,0,0,0,0,1,0,0,0,0,1];function Ke(n){const t=n.nodes??[],e=new Set(t.flatMap(l=>l.children??[])),s=t.map((l,h)=>h).filter(l=>!e.has(l)),i=n.scenes?.[n.scene??0]?.nodes??s,o=[],r=new Set,a=(l,h)=>{const c=t[l];if(!c||r.has(l))throw g("The file's scene is broken.");r.add(l);const u=Ze(h,Ye(c));c.mesh!==void 0&&o.push({mesh:c.mesh,matrix:u});for(const f of c.children??[])a(f,u)};for(const l of i)a(l,Xe);return o}function Ye(n){if(n.matrix)return n.matrix;const[t,e,s]=n.translation??[0,0,0],[i,o,r,a]=n.rotation??[0,0,0,1],[l,h,c]=n.scale??[1,1,1];return[l*(1-2*(o*o+r*r)),l*2*(i*o+r*a),l*2*(i*r-o*a),0,h*2*(i*o-r*a),h*(1-2*(i*i+r*r)),h*2*(o*r+i*a),0,c*2*(i*r+o*a),c*2*(o*r-i*a),c*(1-2*(i*i+o*o)),0,t,e,s,1]}function Ze(n,t){return Array.from({length:16},(e,s)=>{const[i,o]=[s%4,s-s%4];let r=0;for(let a=0;a<4;a++)r+=n[i+4*a]*t[o+a];return r})}function Je(n,t){const e=(i,o)=>t[i+4*o];et(n.positions,(i,o,r,a)=>e(i,0)*o+e(i,1)*r+e(i,2)*a+e(i,3));const s=(i,o)=>{const[r,a]=[(i+1)%3,(i+2)%3],[l,h]=[(o+1)%3,(o+2)%3];return e(r,l)*e(a,h)-e(r,h)*e(a,l)};return n.normals&&(et(n.normals,(i,o,r,a)=>s(i,0)*o+s(i,1)*r+s(i,2)*a),It(n.normals)),n}function et(n,t){for(let e=0;e<n.length;e+=3){const[s,i,o]=[n[e],n[e+1],n[e+2]];for(let r=0;r<3;r++)n[e+r]=t(r,s,i,o)}}function It(n){for(let t=0;t<n.length;t+=3){const e=Math.hypot(n[t],n[t+1],n[t+2])||1;for(let s=0;s<3;s++)n[t+s]/=e}}const Qe=1179937895,ts=1313821514,es=5130562,ss=0,st=4,ns=new Set(["KHR_materials_unlit","KHR_mesh_quantization","KHR_texture_transform","EXT_meshopt_compression"]);async function Ct(n){const{gltf:t,binary:e}=is(n),s=t.extensionsRequired?.filter(a=>!ns.has(a))??[];if(s.length)throw g(`The file needs ${s.join(", ")}, which is not read.`);const i=await X.open(t,e),o=[],r=[];for(const{mesh:a,matrix:l}of Ke(t))for(const h of t.meshes?.[a]?.primitives??[]){const c=h.mode??st;if(c===ss)o.push(Rt(t,i,h,l));else if(c===st)r.push(rs(t,i,h,l));else throw g("The file has lines, strips or fans, which are not read.")}return{cloud:o.length?us(o):null,mesh:r.length?{surfaces:r}:null}}function is(n){const t=new DataView(n);if(n.byteLength<20||t.getUint32(0,!0)!==Qe||t.getUint32(4,!0)!==2)throw g("This is no binary glTF 2.0 file.");let e=null,s=new Uint8Array;for(let i=12;i+8<=n.byteLength;){const o=t.getUint32(i,!0),r=t.getUint32(i+4,!0);if(i+8+o>n.byteLength)throw g("The file is cut short.");const a=new Uint8Array(n,i+8,o);r===ts?e=os(a):r===es&&(s=a),i+=8+o+(-o&3)}if(!e)throw g("The file has no description.");return{gltf:e,binary:s}}function os(n){try{return JSON.parse(new TextDecoder().decode(n))}catch{throw g("The file's description is broken.")}}function Rt(n,t,e,s){const{POSITION:i,NORMAL:o,COLOR_0:r}=e.attributes;if(i===void 0)throw g("The file has no positions.");const a=Float32Array.from(t.numbers(i,3)),l=a.length/3;if(!l)throw g("The file has no vertices.");const h=o===void 0?null:$(t,o,3,l),c=r===void 0?null:$(t,r,t.width(r)===4?4:3,l),u=Ft(n,e)?.baseColorFactor??[1,1,1],f={positions:a,normals:h,colors:ls(l,c,u)};if(!Je(f,s).positions.every(Number.isFinite))throw g("The file has positions that are not numbers.");return f}function $(n,t,e,s){const i=Float32Array.from(n.numbers(t,e));if(i.length===s*e)return i;throw g("The file has vertices without their attributes.")}function rs(n,t,e,s){const i=Rt(n,t,e,s),o=i.positions.length/3,r=e.indices===void 0?Uint32Array.from({length:o},(f,d)=>d):Uint32Array.from(t.numbers(e.indices,1));if(!r.length||r.length%3||r.some(f=>f>=o))throw g("The file has triangles without corners.");const{TEXCOORD_0:a}=e.attributes,l=Ft(n,e)?.baseColorTexture,h=l&&a!==void 0?as(n,t,l.index):null,c=h&&a!==void 0?$(t,a,2,o):null,u=l?.extensions?.KHR_texture_transform;if(c&&u){const{offset:f=[0,0],scale:d=[1,1]}=u;for(let m=0;m<c.length;m++)c[m]=f[m%2]+d[m%2]*c[m]}return{...i,normals:i.normals??cs(i.positions,r),uv:c,index:r,image:h}}function Ft(n,t){return n.materials?.[t.material??-1]?.pbrMetallicRoughness}function as(n,t,e){const s=n.images?.[n.textures?.[e]?.source??-1];if(s?.bufferView===void 0)return null;const i=t.view(s.bufferView).slice();return new Blob([i],{type:s.mimeType??"image/png"})}function ls(n,t,e){if(!t&&e.slice(0,3).every(o=>o===1))return null;const s=new Uint8Array(3*n),i=t?t.length/n:3;for(let o=0;o<n;o++)for(let r=0;r<3;r++){const a=(t?t[i*o+r]:1)*e[r];s[3*o+r]=255*hs(Math.min(Math.max(a,0),1))+.5}return s}function hs(n){return n<=.0031308?12.92*n:1.055*n**(1/2.4)-.055}function cs(n,t){const e=new Float32Array(n.length);for(let s=0;s<t.length;s+=3){const[i,o,r]=[3*t[s],3*t[s+1],3*t[s+2]],a=(l,h)=>n[l+h]-n[i+h];for(let l=0;l<3;l++){const[h,c]=[(l+1)%3,(l+2)%3],u=a(o,h)*a(r,c)-a(o,c)*a(r,h);for(const f of[i,o,r])e[f+l]+=u}}return It(e),e}function us(n){const[t,e]=n;if(t&&!e)return t;const s=n.reduce((l,h)=>l+h.positions.length,0),i=new Float32Array(s),o=new Float32Array(s),r=new Uint8Array(s).fill(255);let a=0;for(const l of n)i.set(l.positions,a),l.normals&&o.set(l.normals,a),l.colors&&r.set(l.colors,a),a+=l.positions.length;return{positions:i,normals:o,colors:r}}const Pt={char:[1,(n,t)=>n.getInt8(t)],uchar:[1,(n,t)=>n.getUint8(t)],short:[2,(n,t)=>n.getInt16(t,!0)],ushort:[2,(n,t)=>n.getUint16(t,!0)],int:[4,(n,t)=>n.getInt32(t,!0)],uint:[4,(n,t)=>n.getUint32(t,!0)],float:[4,(n,t)=>n.getFloat32(t,!0)],double:[8,(n,t)=>n.getFloat64(t,!0)]},ds={int8:"char",uint8:"uchar",int16:"short",uint16:"ushort",int32:"int",uint32:"uint",float32:"float",float64:"double"},fs=64*1024;function ps(n){const t=ms(n),e=t.properties.map(u=>u.name),s=u=>{const f=u.map(d=>e.indexOf(d));return f.includes(-1)?null:f},i=s(["x","y","z"]);if(!i)throw g("The PLY file has no x, y and z.");const o=s(["nx","ny","nz"]);let r=s(["red","green","blue"]);r?.some(u=>t.properties[u]?.type!=="uchar")&&(r=null);const{count:a}=t,l=t.ascii?ws(n,t):gs(n,t),h=(u,f)=>{for(let d=0;d<a;d++)for(let m=0;m<3;m++)f[3*d+m]=l(d,u[m]);return f},c=h(i,new Float32Array(3*a));if(!c.every(Number.isFinite))throw g("The PLY file has positions that are not numbers.");return{positions:c,normals:o&&h(o,new Float32Array(3*a)),colors:r&&h(r,new Uint8Array(3*a))}}function ms(n){const t=new TextDecoder("latin1").decode(n.slice(0,fs)),e=/\bend_header[ \t]*\r?\n/.exec(t);if(!/^ply\s/.test(t)||!e)throw g("This is no PLY file.");const s=t.slice(0,e.index).split(/\r?\n/),i={ascii:!1,count:-1,properties:[],start:e.index+e[0].length};let o="";for(const r of s){const[a,l="",h=""]=r.trim().split(/\s+/);if(a==="format"){if(l==="binary_big_endian")throw g("Big-endian PLY files are not read.");i.ascii=l==="ascii"}else if(a==="element"){if(i.count<0&&l!=="vertex")throw g(`The PLY file begins with ${l}, not with vertices.`);o=l,o==="vertex"&&(i.count=Number(h))}else if(a==="property"&&o==="vertex"){const c=ds[l]??l;if(!Pt[c])throw g(`A vertex of the PLY file has the type ${l}.`);i.properties.push({name:h,type:c})}}if(!Number.isInteger(i.count)||i.count<1)throw g("The PLY file has no points.");return i}function gs(n,t){const e=new DataView(n,t.start);let s=0;const i=t.properties.map(({type:o})=>{const[r,a]=Pt[o]??[0,()=>0],l=s;return s+=r,{offset:l,read:a}});if(e.byteLength<t.count*s)throw g("The PLY file is cut short.");return(o,r)=>{const a=i[r];return a?a.read(e,o*s+a.offset):0}}function ws(n,t){const e=t.properties.length,i=new TextDecoder("latin1").decode(new Uint8Array(n,t.start)).trim().split(/\s+/,t.count*e);if(i.length<t.count*e)throw g("The PLY file is cut short.");return(o,r)=>Number(i[o*e+r])}const k={points:null,mesh:null,usdz:null,downloads:[]};function Ot(n,t,e=null){const s=B(n,location.href);return{name:ys(s),size:e,url:t?null:s.href,linked:!t&&["blob:",location.protocol].includes(s.protocol)&&s.origin===location.origin,load:i=>xs(s.href,t,i)}}function bs(n,t,e){const s=B(t,location.href);return Nt(n.map(({name:i,url:o,bytes:r})=>({...Ot(B(o,s).href,e,r),name:i})))}function vs(n,t,e){return Nt(n.artifacts.map(({name:s,bytes:i,url:o})=>({name:s,size:i,url:e?null:t.url(o),linked:!1,load:r=>t.download(n,s,{signal:r})})))}function B(n,t){if(URL.canParse(n,t))return new URL(n,t);throw new y("bad_address",`"${n}" is no address.`,!1)}function ys({pathname:n}){const t=n.split("/").pop()||"file";try{return decodeURIComponent(t)}catch{return t}}function Nt(n){const t=(...e)=>e.map(s=>n.find(i=>i.name===s)).find(Boolean)??null;return{points:t("points.ply","points.glb"),mesh:t("mesh.glb"),usdz:t("mesh.usdz"),downloads:n}}async function xs(n,t,e){let s;try{if(s=await fetch(n,{signal:e,headers:t?{Authorization:`Bearer ${t}`}:{}}),s.ok)return await s.blob()}catch(r){throw q(r)?r:new y("no_connection","The server cannot be reached.",!0)}const{status:i}=s;if(i===410)throw Et();const o=i===404?"The file is not there (404).":`The server answered with ${i}.`;throw new y(`http_${i}`,o,i>=500||i===429)}async function Ms(n,t){const e=await Dt(n,t);if(new DataView(e).byteLength>=4&&Es(e)){const{cloud:s}=await Ct(e);if(!s)throw g("The file has no points.");return s}return ps(e)}async function As(n,t){const{mesh:e}=await Ct(await Dt(n,t));if(!e)throw g("The file has no triangles.");return e}async function Dt(n,t){try{const e=await(await n.load(t)).arrayBuffer();return t.throwIfAborted(),e}catch(e){throw q(e)?e:A(e)}}function Es(n){return new DataView(n).getUint32(0,!0)===1179937895}class Ss{constructor(t){this.watcher=t}watcher;sources=k;#t={};#e=new Map;#s=new Set;change(t){this.sources=t;for(const{abort:e}of this.#e.values())e.abort();this.#e.clear(),this.#s.clear(),delete this.#t.points,delete this.#t.mesh,this.watcher.busy(!1)}get(t){return this.#t[t]??null}count(t){const{points:e,mesh:s}=this.#t;return t==="points"?e?W(e):0:s?Pe(s.shape):0}async need(t){if(this.#t[t]||!this.sources[t]||this.#s.has(t))return;const e=this.#e.get(t);if(e)return e.done;const s=new AbortController,i=this.#r(t,s.signal).finally(()=>{this.#e.get(t)?.abort===s&&this.#e.delete(t),this.watcher.busy(this.#e.size>0)});return this.#e.set(t,{abort:s,done:i}),this.watcher.busy(!0),i}async retry(t){return this.#s.delete(t),this.need(t)}async#r(t,e){const s=this.sources[t];try{if(t==="points"){const i=await Ms(s,e);e.throwIfAborted(),this.#t.points=i}else{const i=await As(s,e),o=await Ve(i);e.throwIfAborted(),this.#t.mesh={shape:i,images:o}}}catch(i){if(q(i)||e.aborted)return;this.#s.add(t),this.watcher.failed(t,A(i));return}this.watcher.loaded(t)}}const Ut={points:"M7 6h.01M12 4h.01M17 6h.01M5 11h.01M10 10h.01M15 10h.01M19.5 11h.01M7 16h.01M12 15h.01M17 16h.01M12 20h.01",mesh:"M12 3 4 7.5v9L12 21l8-4.5v-9L12 3ZM4 7.5l8 4.5m0 0 8-4.5M12 12v9",look:"M4 7h9m4 0h3M4 17h3m4 0h9M15 4.5v5M9 14.5v5",turntable:"M20 11.5c0 2-3.6 3.5-8 3.5s-8-1.5-8-3.5S7.6 8 12 8c2.4 0 4.5.4 6 1.1M18.5 5.5V9.4h-4",reset:"M4 11.5 12 4.5l8 7M6.5 9.5V19h11V9.5",screenshot:"M4 8.5h3.5L9 6h6l1.5 2.5H20V18.5H4v-10ZM12 16a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z",download:"M12 4v11m0 0 4.5-4.5M12 15l-4.5-4.5M5 19.5h14",ar:"M8 3.5H4.5V7M16 3.5h3.5V7M8 20.5H4.5V17m11.5 3.5h3.5V17M12 7l-4.5 2.5v5L12 17l4.5-2.5v-5L12 7Zm-4.5 2.5L12 12m0 0 4.5-2.5M12 12v5",fullscreen:"M9 4.5H4.5V9M15 4.5h4.5V9M9 19.5H4.5V15M15 19.5h4.5V15",help:"M9.2 9a2.8 2.8 0 1 1 4.3 2.4c-.9.6-1.5 1.2-1.5 2.3M12 17.2h.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z"};class D{constructor(t,e,...s){this.button=t,this.#t=p("div",{},p("h2",{},e),...s),this.element=p("section",{class:"panel","aria-label":e,hidden:!0},this.#t),t.setAttribute("aria-expanded","false"),t.addEventListener("click",()=>this.toggle())}button;element;#t;#e=null;get open(){return!this.element.hidden}toggle(){this.open?this.close():this.show()}show(){this.element.dispatchEvent(new CustomEvent("panel-open",{bubbles:!0}));const t=this.element.getRootNode();this.#e=t.activeElement,this.element.hidden=!1,this.button.setAttribute("aria-expanded","true");const e=this.element.querySelector("button, a, input:checked, input");e||(this.#t.tabIndex=0),(e??this.#t).focus()}close(){this.element.matches(":focus-within")&&(this.#e??this.button).focus(),this.element.hidden=!0,this.button.setAttribute("aria-expanded","false")}}const Ls={studio:"Studio",soft:"Soft",flat:"Flat",normals:"Normals"},ks=[["← ↑ → ↓","turn"],["Shift + ← ↑ → ↓","move"],["+ −","zoom"],["0","first view"],["P","points or mesh"],["L","next light"],["W","wireframe"],["T","turntable"],["S","save a picture"],["F","full screen"],["?","this list"]],Ts="Drag to turn, scroll or pinch to zoom, drag with two fingers or the right button to move.";class zs{constructor(t){this.viewer=t,this.#e={points:this.#u("points","Points"),mesh:this.#u("mesh","Mesh")},this.#s=new D(M("look","Look"),"Look",this.#f(),...this.#b()),this.#n=M("turntable","Turntable",()=>t.turntable=!t.turntable),this.#n.classList.add("full");const e=M("reset","First view",()=>t.resetCamera()),s=M("screenshot","Save a picture",()=>{t.saveScreenshot()});e.classList.add("full","wide"),s.classList.add("full"),this.#r=new D(M("download","Download"),"Download",this.#p),this.#r.button.classList.add("downloads"),this.#i=M("ar","View in your room",()=>{t.openAr()});const i=M("fullscreen","Full screen",()=>{t.toggleFullscreen()});i.hidden=!document.fullscreenEnabled,this.#h=new D(M("help","Help"),"Keys and gestures",_s(),p("p",{},Ts)),this.#h.button.classList.add("full","wide"),this.#s.button.classList.add("full"),this.#t.append(p("div",{class:"kinds",role:"group","aria-label":"Show"},this.#e.points,this.#e.mesh),this.#s.button,this.#n,e,s,this.#r.button,this.#i,i,this.#h.button);const o=[this.#s,this.#r,this.#h];this.element.append(...o.map(r=>r.element),this.#t),this.element.addEventListener("panel-open",()=>this.closePanels()),this.#t.addEventListener("keydown",r=>this.#m(r)),this.#t.addEventListener("focusin",r=>this.#g(r.target))}viewer;element=p("div",{class:"controls"});#t=p("div",{class:"toolbar",role:"toolbar","aria-label":"View"});#e;#s;#r;#h;#n;#i;#c=new Map;#l=p("input",{type:"range",min:Mt,max:At,step:.1,id:"size"});#a=p("input",{type:"checkbox",id:"wireframe"});#p=p("ul",{class:"files"});#o=[];get inset(){return this.#t.offsetHeight?this.#t.offsetHeight+16:0}closePanels(){const t=[this.#s,this.#r,this.#h].filter(e=>e.open);for(const e of t)e.close();return t.length>0}help(){this.#h.show()}update(t,e,s){const{viewer:i}=this,o=t.points!==null&&t.mesh!==null;this.#e.points.parentElement.hidden=!o;for(const a of["points","mesh"])nt(this.#e[a],i.show===a);nt(this.#n,i.turntable&&!i.still),this.#n.disabled=i.still;for(const[a,l]of this.#c)l.checked=i.lighting===a;this.#l.value=String(i.pointSize),this.#l.parentElement.hidden=e!=="points",this.#a.checked=i.wireframe,this.#a.parentElement.hidden=e!=="mesh",this.#d(t.downloads),this.#r.button.hidden=!s||t.downloads.length===0,this.#i.hidden=!xt(t),this.#t.classList.toggle("files-only",!i.drawable),this.#t.hidden=i.drawable?e===null:this.#r.button.hidden;const r=this.#y();r.some(a=>a.tabIndex===0)||this.#g(r[0]??null)}#d(t){this.#o!==t&&(this.#o=t,this.#p.replaceChildren(...t.map(e=>p("li",{},this.#v(e)))))}#u(t,e){return p("button",{type:"button",class:"kind",title:e,click:()=>this.viewer.show=t},pt(Ut[t]),p("span",{},e))}#f(){const t=T.map(e=>{const i=p("input",{type:"radio",name:"lighting",value:e,class:"visually-hidden",change:()=>this.viewer.lighting=e});return this.#c.set(e,i),p("label",{},i,p("span",{},Ls[e]))});return p("fieldset",{},p("legend",{},"Light"),p("div",{class:"choices"},...t))}#b(){return this.#l.addEventListener("input",()=>this.viewer.pointSize=this.#l.valueAsNumber),this.#a.addEventListener("change",()=>this.viewer.wireframe=this.#a.checked),[p("div",{class:"row"},p("label",{for:"size"},"Point size"),this.#l),p("div",{class:"row"},p("label",{for:"wireframe"},"Wireframe"),this.#a)]}#v(t){const e=[p("b",{},t.name),p("span",{},t.size===null?"":Wt(t.size))];return t.linked?p("a",{href:t.url,download:t.name},...e):p("button",{type:"button",click:()=>{this.viewer.save(t)}},...e)}#m(t){const e=this.#y(),s=e.indexOf(t.target),i={ArrowRight:s+1,ArrowLeft:s-1,Home:0,End:e.length-1}[t.key];s<0||i===void 0||(t.preventDefault(),t.stopPropagation(),e[(i+e.length)%e.length]?.focus())}#y(){return[...this.#t.querySelectorAll("button")].filter(t=>t.offsetParent&&!t.disabled)}#g(t){const e=this.#t.querySelectorAll("button");for(const s of e)s.tabIndex=s===t?0:-1}}function M(n,t,e){const s={type:"button",class:"tool","aria-label":t,title:t};return p("button",e?{...s,click:e}:s,pt(Ut[n]))}function nt(n,t){n.setAttribute("aria-pressed",String(t))}function _s(){return p("dl",{},...ks.flatMap(([n,t])=>[p("dt",{},n),p("dd",{},t)]))}const Is=["front","front right","right","back right","back","back left","left","front left"],Cs=new Intl.NumberFormat("en-GB");function Ht(n,t){const e=n==="points"?"point":"triangle";return`${Cs.format(t)} ${e}${t===1?"":"s"}`}function Rs(n,t,e){return`${n==="points"?"Cloud of":"Mesh with"} ${Ht(n,t)}, seen from the ${Fs(e)}${Ps(e.zoom)}.`}function Fs({turn:n,tilt:t}){if(t>1.2)return"top";if(t<-1.2)return"bottom";const e=Math.round(n/(Math.PI/4)),s=Is[(e%8+8)%8];return t>.45?`${s}, from above`:t<-.2?`${s}, from below`:s}function Ps(n){return n>1.3?", close up":n<.75?", from afar":""}const it=Math.PI,Os=.0012,Ns=.04,Ds=60;function Us(n,t,e,s){const i=new Map,o=()=>{const h=[...i.values()],c=d=>h.reduce((m,w)=>m+d(w),0)/h.length,[u,f]=[c(d=>d.x),c(d=>d.y)];return{x:u,y:f,spread:c(d=>Math.hypot(d.x-u,d.y-f))}},r=(h,c)=>{const u=2.2/n.clientHeight/t.now.zoom;t.pan(-h*u,c*u)},a=(h,c)=>{const u=it/Math.min(n.clientHeight,n.clientWidth);t.turn(-h*u,c*u)};n.addEventListener("pointerdown",h=>{n.setPointerCapture(h.pointerId),i.set(h.pointerId,{x:h.clientX,y:h.clientY,speed:[0,0],at:h.timeStamp}),t.held=!0}),n.addEventListener("pointermove",h=>{const c=i.get(h.pointerId);if(!c)return;const u=o(),[f,d]=[h.clientX-c.x,h.clientY-c.y],m=Math.max(h.timeStamp-c.at,1);Object.assign(c,{x:h.clientX,y:h.clientY,speed:[f/m,d/m],at:h.timeStamp});const w=o();i.size>1?(u.spread>0&&t.zoom(w.spread/u.spread),r(w.x-u.x,w.y-u.y)):h.shiftKey||h.buttons&6?r(f,d):a(f,d),e()});const l=h=>{const c=i.get(h.pointerId);if(i.delete(h.pointerId),t.held=i.size>0,!!c){if(h.type==="pointerup"&&!t.held&&h.timeStamp-c.at<Ds){const u=1e3*it/n.clientHeight;t.flick(-c.speed[0]*u,c.speed[1]*u)}e()}};n.addEventListener("pointerup",l),n.addEventListener("pointercancel",l),n.addEventListener("contextmenu",h=>h.preventDefault()),n.addEventListener("dblclick",s),n.addEventListener("wheel",h=>{const c=document.scrollingElement;c!==null&&c.scrollHeight>c.clientHeight+1&&!h.ctrlKey&&!n.matches(":focus")||(h.preventDefault(),t.zoom(Math.exp(-h.deltaY*(h.deltaMode?Ns:Os)*(h.ctrlKey?6:1))),e())},{passive:!1})}const ot=Math.PI/24;function Hs(n,t,e){if(n.ctrlKey||n.metaKey||n.altKey)return null;const s=(i,o)=>()=>n.shiftKey?e.pan(i*.06,o*.06):e.turn(i*ot,o*ot);switch(n.key){case"ArrowLeft":return s(-1,0);case"ArrowRight":return s(1,0);case"ArrowUp":return s(0,1);case"ArrowDown":return s(0,-1);case"+":case"=":return()=>e.zoom(1.15);case"-":case"_":return()=>e.zoom(1/1.15);case"0":case"Home":return()=>t.resetCamera();case"?":return()=>t.showHelp()}switch(n.key.toLowerCase()){case"p":return()=>t.show=t.show==="mesh"?"points":"mesh";case"l":return()=>{const i=T.indexOf(t.lighting)+1;t.lighting=T[i%T.length]};case"w":return()=>t.wireframe=!t.wireframe;case"t":return()=>t.turntable=!t.turntable;case"s":return()=>{t.saveScreenshot()};case"f":return()=>{t.toggleFullscreen()};default:return null}}class Vs{element=p("div",{class:"message",role:"alert",hidden:!0});get shown(){return!this.element.hidden}show(t,e,s){const i=(o,r,a)=>p("button",{type:"button",class:r,click:()=>{this.hide(),a()}},o);this.element.replaceChildren(p("h2",{},we(t)),p("p",{},t.detail)),e&&this.element.append(i("Try again","again",e)),s&&this.element.append(i("Close","close",()=>{})),this.element.classList.toggle("aside",t.code==="no_webgl"),this.element.hidden=!1}hide(){this.element.hidden=!0}}const E={turn:-.45,tilt:.2,zoom:1,pan:[0,0,0]},Gs=.4,js=8,rt=1.5,S=1.5,P=180/Math.PI,L=(n,t,e)=>Math.min(Math.max(n,t),e);function O(n){const[t,e,s]=n.pan;return{turn:n.turn,tilt:L(n.tilt,-rt,rt),zoom:L(n.zoom,Gs,js),pan:[L(t,-S,S),L(e,-S,S),L(s,-S,S)]}}function Ws(n,t,e){const s=(i,o)=>i+e*(o-i);return{turn:s(n.turn,t.turn),tilt:s(n.tilt,t.tilt),zoom:Math.exp(s(Math.log(n.zoom),Math.log(t.zoom))),pan:[s(n.pan[0],t.pan[0]),s(n.pan[1],t.pan[1]),s(n.pan[2],t.pan[2])]}}function at(n,t){const e=[n.turn-t.turn,n.tilt-t.tilt,Math.log(n.zoom/t.zoom)];for(let s=0;s<3;s++)e.push((n.pan[s]??0)-(t.pan[s]??0));return e.every(s=>Math.abs(s)<2e-4)}function $s(n,t,e){const{turn:s,tilt:i}=n,[o,r,a]=n.pan;return O({...n,pan:[o+t*Math.cos(s)-e*Math.sin(i)*Math.sin(s),r+e*Math.cos(i),a-t*Math.sin(s)-e*Math.sin(i)*Math.cos(s)]})}function Bs(n){return[n.turn*P,n.tilt*P,n.zoom,...n.pan].map(e=>String(Number(e.toFixed(4)))).join(" ")}function qs(n){const t=n.trim().split(/\s+/).map(Number),[e,s,i,o=0,r=0,a=0]=t;return![3,6].includes(t.length)||!t.every(Number.isFinite)||e===void 0||s===void 0||!i||i<0?null:O({turn:e/P,tilt:s/P,zoom:i,pan:[o,r,a]})}function lt(n,t){const e=URL.createObjectURL(n);p("a",{href:e,download:t}).click(),setTimeout(()=>URL.revokeObjectURL(e),3e4)}const ht=.075,Xs=.2,Ks=2*Math.PI/18,ct=.18;class Ys{now=E;turntable=!1;held=!1;still=!1;#t=E;#e=ht;get moving(){return!at(this.now,this.#t)||this.#s}get#s(){return this.turntable&&!this.held&&!this.still}turn(t,e){this.#r({...this.#t,turn:this.#t.turn+t,tilt:this.#t.tilt+e})}zoom(t){this.#r({...this.#t,zoom:this.#t.zoom*t})}pan(t,e){this.#r($s(this.#t,t,e))}flick(t,e){this.still||this.turn(t*ct,e*ct*.5)}reset(){const t=Math.round((this.now.turn-E.turn)/(2*Math.PI));this.now={...this.now,turn:this.now.turn-t*2*Math.PI},this.#r(E,Xs)}place(t){this.now=this.#t=O(t)}tick(t){if(this.#s){const s=Ks*t;this.now={...this.now,turn:this.now.turn+s},this.#t={...this.#t,turn:this.#t.turn+s}}const e=Ws(this.now,this.#t,1-Math.exp(-t/this.#e));this.now=at(e,this.#t)?this.#t:e}#r(t,e=ht){this.#t=O(t),this.#e=e,this.still&&(this.now=this.#t)}}const Zs=1/32,Js=.5,Qs=3,C={scale:1,share:1},ut=[C,{scale:.75,share:.75},{scale:.5,share:.5},{scale:.5,share:.25},{scale:.4,share:.12}];class tn{#t=0;#e=0;get detail(){return ut[this.#t]}begin(){this.#t=Math.max(this.#t-1,0),this.#e=0}took(t){t>Js||(this.#e=t>Zs?this.#e+1:0,!(this.#e<Qs)&&(this.#t=Math.min(this.#t+1,ut.length-1),this.#e=0))}}const R=96,Vt=1.6;function en(n,t){const e=R,s=new Float32Array(e*e),i=new Float32Array(e*e),o=e/(2*Vt*t.radius),[r,,a]=t.center;for(let h=0;h<n.length;h+=3){const c=Math.floor((n[h]-r)*o+e/2),u=Math.floor((n[h+2]-a)*o+e/2);if(c<0||u<0||c>=e||u>=e)continue;const f=(n[h+1]-t.ground)/t.radius,d=u*e+c;s[d]=Math.max(s[d],Math.exp(-f/.12)),i[d]=Math.max(i[d],Math.exp(-f/.9))}dt(s,e,2),dt(i,e,7);const l=new Uint8Array(e*e);for(let h=0;h<e;h++)for(let c=0;c<e;c++){const u=h*e+c,f=1-(1-Math.min(.66*s[u],.66))*(1-Math.min(.5*i[u],.5)),d=Math.hypot(h-e/2,c-e/2)/(e/2);l[u]=Math.round(255*f*sn(1,.7,d))}return l}function sn(n,t,e){const s=Math.min(Math.max((e-n)/(t-n),0),1);return s*s*(3-2*s)}function dt(n,t,e){const s=new Float32Array(t),i=(o,r)=>{let a=0;for(let l=0;l<e;l++)a+=n[o+l*r];for(let l=0;l<t;l++)l+e<t&&(a+=n[o+(l+e)*r]),l-e-1>=0&&(a-=n[o+(l-e-1)*r]),s[l]=a/(2*e+1);for(let l=0;l<t;l++)n[o+l*r]=s[l]};for(let o=0;o<3;o++){for(let r=0;r<t;r++)i(r*t,1);for(let r=0;r<t;r++)i(r,t)}}class nn{plane;#t=new ie(new Uint8Array(R**2),R,R,oe);#e={map:{value:this.#t},place:{value:new re},strength:{value:1}};constructor(){this.#t.minFilter=this.#t.magFilter=bt,this.plane=new F(new vt(2,2),_(Ae,Ee,this.#e,kt)),this.plane.frustumCulled=!1,this.plane.renderOrder=1}cast(t,e){const{image:s}=this.#t;s.data?.set(en(t,e)),this.#t.needsUpdate=!0;const[i,,o]=e.center;this.#e.place.value.set(i,e.ground,o,Vt*e.radius)}prepare(t){const e=Math.min(Math.max((t+.02)/.12,0),1);this.#e.strength.value=e,this.plane.visible=e>0}dispose(){this.#t.dispose(),this.plane.geometry.dispose()}}const on=12;class rn{constructor(t){this.renderer=t;const e=s=>_(Le,ke,{map:{value:null},weight:{value:1}},{depthTest:!1,depthWrite:!1,...s});this.#h=e({blending:mt,blendSrc:H,blendDst:H}),this.#n=e({blending:he}),this.#i=new F(new vt(2,2),this.#h),this.#i.frustumCulled=!1,this.#s.add(this.#i)}renderer;#t=new Y(1,1,{magFilter:I,minFilter:I});#e=new Y(1,1,{type:ae,depthBuffer:!1,magFilter:I,minFilter:I});#s=new yt;#r=new le;#h;#n;#i;#c=new wt;#l=0;restart(){this.#l=0}get done(){return this.#l>=on}add(t){const{renderer:e}=this,s=this.#c;e.getDrawingBufferSize(s),this.#t.setSize(s.x,s.y),this.#e.setSize(s.x,s.y);const i=o=>(.5+o*this.#l)%1-.5;e.setRenderTarget(this.#t),t(i(.7548776662),i(.5698402909)),e.setRenderTarget(this.#e),this.#l===0&&e.clear(),this.#a(this.#h,this.#t,1),this.#l++,e.setRenderTarget(null),this.#a(this.#n,this.#e,1/this.#l)}dispose(){this.#t.dispose(),this.#e.dispose(),this.#h.dispose(),this.#n.dispose(),this.#i.geometry.dispose()}#a(t,e,s){t.uniforms.map.value=e.texture,t.uniforms.weight.value=s,this.#i.material=t,this.renderer.render(this.#s,this.#r)}}const an=2;class ln{constructor(t){this.canvas=t;const e=t.getContext("webgl2",{antialias:!1,alpha:!0,stencil:!1});if(!e)throw new y("no_webgl","This browser cannot draw in 3D: WebGL 2 is missing or off.",!1);this.renderer=new ce({canvas:t,context:e}),this.renderer.autoClear=!1,this.renderer.setClearColor(0,0),this.#e=new rn(this.renderer),this.scene.add(this.ground.plane)}canvas;scene=new yt;light=new Te;ground=new nn;renderer;rise=1;#t=new ue(G*180/Math.PI);#e;#s=0;resize(t=1){const{clientWidth:e,clientHeight:s}=this.canvas;if(!e||!s)return!1;const i=t*Math.min(devicePixelRatio||1,an);return this.canvas.width===Math.floor(e*i)&&this.canvas.height===Math.floor(s*i)||(this.renderer.setPixelRatio(i),this.renderer.setSize(e,s,!1)),!0}aim(t,e,s){const{clientWidth:i,clientHeight:o}=this.canvas,r=Math.max(o-s,o/2),{center:a,distance:l}=e.aim(i/r),h=l*o/r/t.zoom,{radius:c}=e,u=this.#t,f=Math.cos(t.tilt)*h,d=[Math.sin(t.turn)*f,Math.sin(t.tilt)*h,Math.cos(t.turn)*f],m=a.map((w,b)=>w+c*t.pan[b]);u.position.set(m[0]+d[0],m[1]+d[1],m[2]+d[2]),u.lookAt(...m),u.aspect=i/o,u.near=Math.max(h-4*c,.02*c),u.far=h+6*c,this.rise=Math.tan(G/2)*h,this.#s=s,this.light.follow(t.turn,u.position),this.ground.prepare(t.tilt)}draw(){this.#e.restart(),this.#r(0,0)}refine(){return this.#e.add((t,e)=>this.#r(t,e)),!this.#e.done}async picture(){for(this.#e.restart();this.refine(););const t=await new Promise(e=>this.canvas.toBlob(e));if(!t)throw new y("no_picture","The picture could not be made.",!0);return t}finish(){const t=this.renderer.getContext();t.readPixels(0,0,1,1,t.RGBA,t.UNSIGNED_BYTE,new Uint8Array(4))}dispose(){this.ground.dispose(),this.#e.dispose(),this.renderer.dispose(),this.renderer.forceContextLoss()}#r(t,e){const{clientWidth:s,clientHeight:i}=this.canvas,o=this.renderer.getPixelRatio();this.#t.setViewOffset(s,i,t/o,e/o+this.#s/2,s,i),this.renderer.clear(),this.renderer.render(this.scene,this.#t)}}const hn=.6;class cn{#t=j;#e=j;#s=1;get arrived(){return this.#s>=1}get radius(){return Math.max(this.#t.radius,this.#e.radius)}set(t,e){this.#t=e?this.#e:t,this.#e=t,this.#s=e?0:1}tick(t){this.#s=Math.min(this.#s+t/hn,1)}aim(t){const e=z(this.#s),s=(a,l)=>a+e*(l-a),[i,o]=[this.#t,this.#e],r=a=>s(i.center[a],o.center[a]);return{center:[r(0),r(1),r(2)],distance:s(J(i,E.tilt,t),J(o,E.tilt,t))}}}const un=.45,dn=2e4,fn=.1;class pn{constructor(t){this.canvas=t,this.#t=new ln(t),t.addEventListener("webglcontextlost",this.#E),t.addEventListener("webglcontextrestored",this.#x),this.#r.observe(t),this.#h.observe(t),this.#A()}canvas;orbit=new Ys;inset=0;onmove=()=>{};onlost=()=>{};#t;#e=new cn;#s=new tn;#r=new ResizeObserver(()=>this.#A());#h=new IntersectionObserver(t=>{this.#o=t.at(-1)?.isIntersecting??!0,this.redraw()});#n=null;#i=null;#c="points";#l=0;#a=1;#p=!1;#o=!0;#d=!0;#u=0;#f=null;has(t){return(t==="points"?this.#n:this.#i)!==null}setCloud(t,e){const s=Z(t.positions),i=e?{...j,ground:s.ground}:s;i.ground-=_t(t,i);const o=this.#n,a=e&&!this.orbit.still&&o?.cloud.positions.length===t.positions.length?o.now():null,l=!o&&!this.#i;o?.points.removeFromParent(),o?.dispose(),this.#n=new Ue(t,i,this.#t.light,a),this.#n.size=this.#a,this.#t.scene.add(this.#n.points),this.#i||this.#b(t.positions,i,l),this.redraw()}setMesh(t,e){const s=!this.#n&&!this.#i,i=Ce(t,dn),o=Z(i);this.#i?.group.removeFromParent(),this.#i?.dispose(),this.#i=new Ge(t,e,i,o,this.#t.light),this.#i.wireframe=this.#p,this.#t.scene.add(this.#i.group),this.#b(i,o,s),this.redraw()}show(t){const e=this.#n&&this.#i&&!this.orbit.still;this.#c=t,e||(this.#l=t==="mesh"?1:0),this.redraw()}drop(t){(t==="points"?this.#n?.points:this.#i?.group)?.removeFromParent(),(t==="points"?this.#n:this.#i)?.dispose(),t==="points"?this.#n=null:this.#i=null,this.redraw()}set pointSize(t){this.#a=t,this.#n&&(this.#n.size=t),this.redraw()}set lighting(t){this.#t.light.set(t),this.redraw()}set wireframe(t){this.#p=t,this.#i&&(this.#i.wireframe=t),this.redraw()}redraw(){this.#d=!0,this.#v()}async picture(){return this.#g(),this.#t.picture()}async time(t,e){const s=this.orbit.now,i=a=>{this.orbit.place({...s,turn:s.turn+a}),this.#g(e?this.#s.detail:C),this.#t.draw(),this.#t.finish()};i(0);const o=performance.now();for(let a=1,l=o;a<=t;a++){i(2*Math.PI*a/t);const h=performance.now();this.#s.took((h-l)/1e3),l=h}const r=(performance.now()-o)/1e3;return this.orbit.place(s),this.redraw(),r}dispose(){this.#r.disconnect(),this.#h.disconnect(),this.canvas.removeEventListener("webglcontextlost",this.#E),this.canvas.removeEventListener("webglcontextrestored",this.#x),this.drop("points"),this.drop("mesh"),cancelAnimationFrame(this.#u),this.#t.dispose()}#b(t,e,s){this.#e.set(e,!s&&!this.orbit.still),this.#t.ground.cast(t,e)}#v(){this.#u||(this.#u=requestAnimationFrame(this.#m))}#m=t=>{if(this.#u=0,!this.#o||!this.canvas.clientWidth){this.#f=null;return}const e=this.#f===null?0:(t-this.#f)/1e3,s=this.#y(Math.min(e,fn));s&&this.#f===null?this.#s.begin():s&&this.#s.took(e);const i=this.#g(s?this.#s.detail:C);this.#f=s?t:null;let o=!0;s||i||this.#d?this.#t.draw():o=this.#t.refine(),this.#d=!1,o&&this.#v()};#y(t){const e=this.orbit.now;this.orbit.tick(t),this.orbit.now!==e&&this.onmove();const s=this.#c==="mesh"?1:0,i=t/un;return this.#l+=Math.min(Math.max(s-this.#l,-i),i),this.#e.tick(t),(this.#n?.tick(t)??!1)||this.orbit.moving||this.#l!==s||!this.#e.arrived}#g(t=C){const e=this.#t,s=this.canvas.width;return e.resize(t.scale),e.aim(this.orbit.now,this.#e,this.inset),this.#i&&(this.#i.presence=z(Math.min(this.#l*1.6,1))),this.#n&&(this.#n.presence=this.#i?Math.min((1-this.#l)*1.6,1):1,this.#n.prepare(e.renderer,e.rise,t.share)),e.ground.plane.visible&&=this.#n!==null||this.#i!==null,this.canvas.width!==s}#A(){this.#t.resize()&&(this.#g(),this.#t.draw(),this.redraw())}#E=t=>{t.preventDefault(),cancelAnimationFrame(this.#u),this.#u=0,this.onlost(!0)};#x=()=>{this.onlost(!1),this.redraw()}}const mn=`
  :host {
    display: block;
    position: relative;
    min-height: 12rem;
    height: 24rem;
    overflow: hidden;
    container-type: size;
    color: var(--text);
    font: 15px/1.45 var(--font);
    background: radial-gradient(ellipse at 50% 38%, color-mix(in srgb, var(--surface), light-dark(#fff, #4a433c) 40%), var(--surface) 45%, var(--background) 110%);
    border: 1px solid var(--border);
    border-radius: var(--radius);
    -webkit-tap-highlight-color: transparent;
  }
  :host([hidden]) { display: none; }
  :host(:fullscreen) { border: 0; border-radius: 0; height: 100%; }

  canvas, .poster {
    position: absolute;
    inset: 0;
    width: 100%;
    height: 100%;
    border-radius: inherit;
  }
  canvas { cursor: grab; touch-action: pan-y; }
  :host(:fullscreen) canvas { touch-action: none; }
  canvas:active { cursor: grabbing; }
  canvas:focus-visible { outline-offset: -4px; }
  .poster { object-fit: contain; padding: 1rem 1rem 4rem; pointer-events: none; }

  .note {
    position: absolute;
    inset: 0.85rem auto auto 0.95rem;
    display: flex;
    align-items: center;
    gap: 0.5rem;
    margin: 0;
    color: var(--muted);
    font-size: 0.8125rem;
    font-variant-numeric: tabular-nums;
    pointer-events: none;
  }
  .note.forming::before {
    content: "";
    width: 0.5rem;
    height: 0.5rem;
    background: var(--accent);
    border-radius: 50%;
  }
  .busy {
    position: absolute;
    inset: 0 0 auto;
    height: 2px;
    overflow: hidden;
  }
  .busy::before {
    content: "";
    position: absolute;
    inset: 0;
    background: var(--accent);
    transform-origin: left;
  }
  @media (prefers-reduced-motion: no-preference) {
    .busy::before { animation: busy 1.4s ease-in-out infinite; }
    .note.forming::before { animation: pulse 1.4s ease-in-out infinite; }
    .message, .panel { animation: appear 0.16s ease-out; }
  }
  @keyframes busy {
    0% { transform: translateX(-100%) scaleX(0.6); }
    100% { transform: translateX(110%) scaleX(0.6); }
  }
  @keyframes pulse { 50% { opacity: 0.25; } }
  @keyframes appear { from { translate: 0 6px; } }

  .empty {
    position: absolute;
    inset: 0 0 1rem;
    display: grid;
    place-items: center;
    padding: 1.5rem;
    text-align: center;
    color: var(--muted);
    pointer-events: none;
  }
  .message {
    position: absolute;
    inset: 50% auto auto 50%;
    width: min(24rem, calc(100% - 2rem));
    max-height: calc(100% - 5.5rem);
    overflow: auto;
    padding: 1rem 1.15rem 1.1rem;
    transform: translate(-50%, calc(-50% - 1.25rem));
    background: var(--surface);
    border: 1px solid var(--border);
    border-radius: var(--radius);
    box-shadow: 0 8px 30px rgb(0 0 0 / 0.12);
  }
  .message h2, .panel h2 { margin: 0; font-size: 1rem; font-weight: 600; }
  .message h2 { color: var(--danger); }
  .message p { margin: 0.3rem 0 0; overflow-wrap: anywhere; }
  .message.aside { inset: 1rem auto auto 50%; transform: translateX(-50%); }
  .message button {
    margin: 0.8rem 0.5rem 0 0;
    padding: 0.5rem 1rem;
    font: 600 0.9375rem/1.3 var(--font);
    color: var(--on-accent);
    background: var(--accent);
    border: 0;
    border-radius: var(--control-radius);
    cursor: pointer;
  }

  .message .close { color: inherit; background: none; box-shadow: inset 0 0 0 1px var(--control-border); }

  .controls {
    position: absolute;
    inset: auto 0 0.75rem;
    display: grid;
    justify-items: center;
    gap: 0.5rem;
    pointer-events: none;
  }
  .controls > * { pointer-events: auto; }
  .toolbar {
    display: flex;
    gap: 2px;
    max-width: calc(100% - 1rem);
    padding: 4px;
    overflow-x: auto;
    scrollbar-width: none;
    background: color-mix(in srgb, var(--surface), transparent 8%);
    border: 1px solid var(--border);
    border-radius: calc(var(--control-radius) + 5px);
    box-shadow: 0 2px 12px rgb(0 0 0 / 0.07);
  }
  .tool, .kind {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: 0.4rem;
    flex: none;
    min-width: 2.5rem;
    height: 2.5rem;
    padding: 0;
    font: 500 0.875rem/1 var(--font);
    color: var(--text);
    background: none;
    border: 0;
    border-radius: var(--control-radius);
    cursor: pointer;
  }
  .tool:hover, .kind:hover { background: var(--hover); }
  .tool:focus-visible, .kind:focus-visible { outline-offset: -2px; }
  .tool[aria-pressed="true"], .tool[aria-expanded="true"] { color: var(--accent); background: var(--hover); }
  .tool:disabled { opacity: 0.4; cursor: default; }
  .tool img { width: 1.35rem; height: 1.35rem; }
  .icon { width: 1.3rem; height: 1.3rem; }
  .kinds { display: flex; gap: 2px; margin-right: 3px; padding-right: 5px; border-right: 1px solid var(--border); }
  .kind { padding: 0 0.75rem 0 0.6rem; }
  .kind[aria-pressed="true"] { color: var(--on-accent); background: var(--accent); }
  @container (max-width: 30rem) {
    .kind { padding: 0; }
    .kind span { display: none; }
    .wide { display: none; }
  }
  .minimal .full { display: none; }
  .files-only > :not(.downloads) { display: none; }

  .panel {
    width: min(18rem, calc(100% - 1rem));
    overflow: hidden;
    background: var(--surface);
    border: 1px solid var(--border);
    border-radius: var(--radius);
    box-shadow: 0 8px 30px rgb(0 0 0 / 0.14);
  }
  .panel > div {
    max-height: calc(100cqh - 6rem);
    overflow: auto;
    padding: 0.85rem 1rem 0.95rem;
  }
  .panel > div:focus-visible { outline-offset: -3px; border-radius: inherit; }
  .panel h2 { margin-bottom: 0.55rem; }
  .panel p { margin: 0.7rem 0 0; color: var(--muted); font-size: 0.875rem; }
  fieldset { margin: 0; padding: 0; border: 0; }
  legend { padding: 0 0 0.3rem; color: var(--muted); font-size: 0.875rem; }
  .choices { display: grid; grid-template-columns: repeat(4, auto); gap: 2px; padding: 3px; background: var(--background); border-radius: var(--control-radius); }
  .choices span { display: block; padding: 0.4rem 0.3rem; font-size: 0.875rem; text-align: center; border-radius: calc(var(--control-radius) - 2px); cursor: pointer; }
  .choices input:checked + span { color: var(--on-accent); background: var(--accent); }
  .choices input:focus-visible + span { outline: 2px solid var(--accent); outline-offset: 2px; }
  .row { display: flex; align-items: center; justify-content: space-between; gap: 1rem; min-height: 2.25rem; margin-top: 0.35rem; }
  .row label { flex: none; }
  input { accent-color: var(--accent); }
  .row input[type="range"] { flex: 1; min-width: 0; }
  .row input[type="checkbox"] { width: 1.15rem; height: 1.15rem; margin: 0; }

  .files { margin: 0 -0.4rem -0.3rem; padding: 0; list-style: none; }
  .files a, .files button {
    display: flex;
    justify-content: space-between;
    gap: 1rem;
    width: 100%;
    padding: 0.5rem 0.4rem;
    font: inherit;
    color: inherit;
    text-align: left;
    text-decoration: none;
    background: none;
    border: 0;
    border-radius: var(--control-radius);
    cursor: pointer;
  }
  .files a:hover, .files button:hover { background: var(--hover); }
  .files b { font-weight: 500; overflow-wrap: anywhere; }
  .files span { color: var(--muted); white-space: nowrap; font-variant-numeric: tabular-nums; }
  dl { display: grid; grid-template-columns: auto 1fr; gap: 0.25rem 1rem; margin: 0; font-size: 0.9375rem; }
  dt { color: var(--muted); white-space: nowrap; }
  dd { margin: 0; }
`,U=["points","mesh","usdz"],ft=["server","api-key"],gn=["show","point-size","lighting","wireframe","turntable","label","controls","no-downloads","poster"],wn=600;let bn=null;class K extends me{static observedAttributes=[...U,...ft,...gn];#t=p("div",{class:"place"});#e=p("img",{class:"poster",alt:"",hidden:!0});#s=p("p",{class:"note",hidden:!0});#r=p("div",{class:"busy",hidden:!0});#h=p("div",{class:"empty"},p("slot",{name:"empty"},"The object appears here."));#n=new Vs;#i=p("p",{id:"spoken",class:"visually-hidden",role:"status"});#c=new zs(this);#l=matchMedia("(prefers-reduced-motion: reduce)");#a=new Ss({busy:t=>this.#r.hidden=!t,loaded:t=>this.#P(t),failed:(t,e)=>this.#O(t,e)});#p=null;#o=null;#d=null;#u=null;#f=E;#b=!1;#v=[];#m="attributes";#y=0;constructor(){super();const t=this.attachShadow({mode:"open"});t.adoptedStyleSheets=[bn??=$t(Bt,mn)],t.append(this.#t,this.#e,this.#h,this.#s,this.#r),t.append(this.#n.element,this.#c.element,this.#i),t.addEventListener("keydown",e=>{e.key!=="Escape"||!this.#c.closePanels()||(e.preventDefault(),e.stopPropagation())})}connectedCallback(){this.#g(),this.#o||this.#A(),this.#l.addEventListener("change",this.#w),document.addEventListener("pointerdown",this.#C),this.#w()}disconnectedCallback(){this.#l.removeEventListener("change",this.#w),document.removeEventListener("pointerdown",this.#C),queueMicrotask(()=>{this.isConnected||this.#E()})}attributeChangedCallback(t,e,s){e!==s&&(U.includes(t)&&(this.#m="attributes"),U.includes(t)||ft.includes(t)?this.#x():this.#w())}get artifacts(){return this.#v}set artifacts(t){[this.#v,this.#m]=[t,"artifacts"],this.#x()}async showJob(t,e){this.#m="calls",this.#k(vs(t,e,this.apiKey)),await this.#a.need(this.#S())}showCloud(t){(this.#a.sources!==k||!this.#u)&&this.clear(),this.#u=t,this.#o?.setCloud({...t,normals:null},!0),this.#o?.show("points"),this.#w()}clear(){this.#m="calls",this.#u=null,this.#n.hide(),this.#a.change(k),this.#o?.drop("points"),this.#o?.drop("mesh"),this.#w()}resetCamera(){this.#o?.orbit.reset(),this.#o?.redraw()}async screenshot(){if(!this.#o)throw this.#d??A("The viewer is not in a page.");return this.#o.picture()}get camera(){return Bs(this.#o?.orbit.now??this.#f)}set camera(t){const e=qs(t);e&&(this.#f=e,this.#o?.orbit.place(e),this.#o?.redraw())}async renderFrames(t,e=!1){if(!this.#o)throw this.#d??A("The viewer is not in a page.");return this.#o.time(t,e)}get still(){return this.#l.matches}get drawable(){return this.#d===null}showHelp(){this.#c.help()}async saveScreenshot(){await this.#L(async()=>lt(await this.screenshot(),"bozzetto.png"))}async save(t){await this.#L(async()=>{this.#r.hidden=!1,lt(await t.load(new AbortController().signal),t.name)}),this.#r.hidden=!0}async openAr(){const{sources:t}=this.#a,e=xt(t);e&&await this.#L(()=>de(e,t,this.label))}async toggleFullscreen(){document.fullscreenEnabled&&(document.fullscreenElement?await document.exitFullscreen():await this.requestFullscreen())}#g(){for(const[t,e]of Object.entries(this))t in K.prototype&&(Reflect.deleteProperty(this,t),Reflect.set(this,t,e))}#A(){const t=p("canvas",{tabindex:0,role:"application","aria-roledescription":"3D view","aria-describedby":"spoken"});this.#t.replaceChildren(t);try{const e=new pn(t);e.orbit.place(this.#f),e.onmove=()=>this.#N(),e.onlost=s=>this.#r.hidden=!s,Us(t,e.orbit,()=>e.redraw(),()=>this.resetCamera()),t.addEventListener("keydown",s=>{const i=Hs(s,this,e.orbit);i&&(s.preventDefault(),i(),e.redraw(),this.#I())}),[this.#p,this.#o,this.#d]=[t,e,null]}catch(e){this.#t.replaceChildren(),this.#d=A(e),this.#M(this.#d,null);return}this.#u&&this.#o.setCloud({...this.#u,normals:null},!0);for(const e of["points","mesh"])this.#_(e)}#E(){this.#f=this.#o?.orbit.now??this.#f,this.#o?.dispose(),this.#t.replaceChildren(),[this.#o,this.#p]=[null,null]}#x(){this.#b||(this.#b=!0,queueMicrotask(()=>{if(this.#b=!1,this.#m!=="calls")try{this.#k(this.#R())}catch(t){this.#k(k),this.#M(A(t),null)}}))}#R(){return this.#m==="attributes"?this.#F():bs(this.#v,this.server,this.apiKey)}#F(){const t=o=>o?Ot(o,this.apiKey):null,[e,s,i]=[t(this.points),t(this.mesh),t(this.usdz)];return{points:e,mesh:s,usdz:i,downloads:[e,s,i].filter(o=>o!==null)}}#k(t){this.#n.hide(),this.#a.change(t),!t.points&&!this.#u&&this.#o?.drop("points"),t.mesh||this.#o?.drop("mesh"),this.#d&&this.#M(this.#d,null),this.#w()}#S(){const{points:t,mesh:e}=this.#a.sources;return this.show==="mesh"?e||!t?"mesh":"points":t||!e?"points":"mesh"}#P(t){this.#n.hide(),this.#z(t==="mesh"?"points":"mesh"),this.#_(t),this.#u=null,this.#w();const e=this.#a.count(t);N(this,"bozzetto-load",t==="points"?{kind:t,points:e}:{kind:t,faces:e}),this.#I()}#O(t,e){this.#z(t),this.#M(e,()=>{this.#a.retry(t)})}#z(t){this.#a.get(t)||t==="points"&&this.#u||this.#o?.drop(t)}#_(t){const e=this.#a.get("points"),s=this.#a.get("mesh");t==="points"&&e&&this.#o?.setCloud(e,!1),t==="mesh"&&s&&this.#o?.setMesh(s.shape,s.images),t===this.#S()&&this.#o?.show(t)}#M(t,e){const s=()=>{this.#p?.focus(),e?.()},i=e!==null&&t.code!=="job_expired";this.#n.show(t,i?s:null,this.#T()!==null),this.#w(),N(this,"bozzetto-error",{code:t.code,detail:t.detail})}async#L(t){try{await t()}catch(e){this.#M(A(e),()=>{this.#L(t)})}}#w=()=>{if(!this.isConnected)return;const t=this.#o,e=this.#S(),{sources:s}=this.#a;t&&(this.#a.need(e),this.#a.get(e)&&t.show(e),t.pointSize=this.pointSize,t.lighting=this.lighting,t.wireframe=this.wireframe,t.orbit.turntable=this.turntable,t.orbit.still=this.still);const i=this.#T();this.#h.hidden=i!==null||s!==k||this.#n.shown||this.poster!==null,this.#e.hidden=i!==null||this.poster===null,this.poster!==null&&this.#e.getAttribute("src")!==this.poster&&(this.#e.src=this.poster),this.#p?.setAttribute("aria-label",this.label),this.#s.hidden=i===null||this.controls==="none";const o=i==="points"&&!this.#a.get("points")?this.#u:null;this.#s.classList.toggle("forming",o!==null),this.#s.textContent=o?`Taking shape, step ${o.step}`:i&&Ht(i,this.#a.count(i)),this.#c.element.className=`controls ${this.controls}`,this.#c.element.hidden=this.controls==="none",this.#c.update(s,i,!this.noDownloads),t&&(t.inset=i&&!this.#c.element.hidden?this.#c.inset:0,t.redraw())};#T(){if(!this.#o)return null;const t=this.#S();if(this.#a.get(t))return t;const e=t==="mesh"?"points":"mesh";return this.#a.get(e)?e:this.#u?"points":null}#N(){N(this,"bozzetto-camera",{camera:this.camera})}#I(){clearTimeout(this.#y),this.#y=window.setTimeout(()=>{const t=this.#T();!t||!this.#o||(this.#i.textContent=Rs(t,this.#a.count(t),this.#o.orbit.now))},wn)}#C=t=>{t.composedPath().includes(this.#c.element)||this.#c.closePanels()}}customElements.get("bozzetto-viewer")||customElements.define("bozzetto-viewer",K);export{K as BozzettoViewer,y as ViewerError};
