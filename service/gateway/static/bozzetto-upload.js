import{h as a,B as d,i as f,C as L,F as S,b as p,J as M,c as T,d as z,q as P,a as j,r as O,e as R,f as F,g as I,T as _,j as D}from"./shared.js";const k=i=>`bozzetto-key ${i}`;function N(i){try{return sessionStorage.getItem(k(i))??""}catch{return""}}function B(i,e){try{sessionStorage.setItem(k(i),e)}catch{}}let W=0;function U(i,e){const t=`field-${++W}`,r=i.control==="select"?q(i):G(i);r.id=t,r.name=i.name;const s=a("div",{class:"row"},a("label",{for:t},i.label),r);i.hint&&$(i,r,s);const n=i.control==="slider"?H(i,r,s):()=>{};return r.addEventListener("input",()=>{n(),e(r.value)}),{row:s,value(){if(r.value!==i.initial)return i.numeric?Number(r.value):r.value},set(o){const c=r.value;r.value=o,(r.value!==o||!r.checkValidity())&&(r.value=c),n()}}}function $(i,e,t){if(i.control==="text"){const r=a("p",{id:`${e.id}-hint`,class:"note"},i.hint);e.setAttribute("aria-describedby",r.id),t.append(r)}else t.title=i.hint,e.setAttribute("aria-description",i.hint)}function q(i){const e=a("select");return e.append(...i.choices.map(([t,r])=>new Option(r,t))),e.value=i.initial,e}function G(i){const{min:e,max:t,step:r,placeholder:s}=i,n={slider:"range",number:"number",text:"text",select:""}[i.control],o=a("input",{type:n,min:e,max:t,step:r,placeholder:s});return n==="text"&&(o.spellcheck=!1),n==="number"&&(o.inputMode=r===1?"numeric":"decimal"),o.value=i.initial,o}function H(i,e,t){const r=a("output",{for:e.id});t.append(r);const s=()=>{const n=i.name==="guidance_scale"&&Number(e.value)===1;r.textContent=n?"off":e.value,e.setAttribute("aria-valuetext",r.textContent)};return s(),s}class J{place=a("div",{class:"files"});#e=[];show(e,t){this.#e=[],this.place.replaceChildren(...e.map(r=>this.#r(r,t)))}checked(){return this.#e.filter(e=>e.checked).map(e=>e.value)}#r({title:e,files:t},r){const s=t.map(([o,c])=>{const l=a("input",{type:"checkbox",value:o,"aria-label":`${e}, ${c}`});return l.checked=r.has(o),this.#e.push(l),a("label",{class:"check"},l,c)}),n=a("span",{class:"name","aria-hidden":"true"},e);return a("div",{class:"row"},n,a("div",{class:"checks"},...s))}}const E={steps:"Steps",guidance_scale:"Guidance",candidates:"Candidates",sampler:"Sampler",num_points:"Points",label:"Class",camera:"Camera",seed:"Seed"},K={ddim:"DDIM",euler:"Euler",heun:"Heun",dpmpp_2m:"DPM-Solver++ 2M",ddpm:"DDPM",pndm:"PNDM"},Q='Where the picture was taken from, as {"elevation": 20, "distance": 2.5}: degrees above the object, and its diameters away.',Z=64;function V(i){const e=Object.keys(E),t=({name:s})=>e.indexOf(s)+1||e.length+1,r=({minimum:s,maximum:n})=>s===null||s!==n;return(i?.parameters??[]).filter(r).map(Y).sort((s,n)=>t(s)-t(n))}function Y(i){const{name:e,kind:t,minimum:r,maximum:s,choices:n}=i,o={name:e,label:E[e]??e.replaceAll("_"," "),hint:i.description,numeric:t==="integer"||t==="number",choices:n.map(m=>[m,K[m]??m])},c=String(i.default);if(t==="string")return{...o,control:"select",initial:c};if(t==="camera")return{...o,hint:Q,control:"text",initial:"",placeholder:c};const l={min:r??void 0,max:s??void 0};return r!==null&&s!==null&&s-r<=Z?{...o,...l,control:"slider",initial:c,step:t==="integer"?1:.1}:{...o,...l,control:"number",initial:"",placeholder:e==="seed"?"drawn":c,step:t==="integer"?1:"any"}}const b={name:"remove_background",label:"Background",hint:"whether the object has to be cut out of the picture first",control:"select",initial:"auto",numeric:!1,choices:[["auto","Remove if needed"],["always","Always remove"],["never","Keep"]]},v=[{name:"target_faces",label:"Faces",hint:"triangles of the mesh, about; fewer make a smaller file",control:"number",initial:"",numeric:!0,choices:[],min:100,max:2e5,step:1,placeholder:"20000"},{name:"texture_size",label:"Colours",hint:"of mesh.glb: one per vertex, or a picture wrapped around it",control:"select",initial:"",numeric:!0,choices:[["","Per vertex"],["512","Texture, 512 pixels"],["1024","Texture, 1024 pixels"],["2048","Texture, 2048 pixels"],["4096","Texture, 4096 pixels"]]},{name:"compression",label:"Compression",hint:"of GLB files; not every program reads compressed ones",control:"select",initial:"none",numeric:!1,choices:[["none","None"],["quantized","Quantised"],["meshopt","Meshopt"]]}],X={points:"Points",mesh:"Mesh"},ee={webp:"WebP"},te="Pictures";function re(i){const e=new Map;for(const t of i){const[r="",s=""]=t.split("."),n=X[r]??te;e.set(n,[...e.get(n)??[],[t,ee[s]??s.toUpperCase()]])}return[...e].map(([t,r])=>({title:t,files:r}))}function w(i,e){return e?e.split(",").map(t=>t.trim()).filter(Boolean):[...new Set(["points.ply",...i?.default_outputs??["mesh.glb"]])]}function ie(i,e){return i.find(t=>t.id===e)??i.find(t=>t.default&&t.ready)??i.find(t=>t.ready)??i.find(t=>t.default)??i[0]}const se=new Set(["priority","deadline_s","callback_url","metadata"]);class ne{#e=a("select",{id:"model",name:"model","aria-describedby":"about"});#r=a("p",{id:"about",class:"note"});#s=a("div",{class:"rows"});#t=new J;#n=a("details",{class:"options"});#o=new Map;#a;place;#c=new Map;#i=[];#l=null;#d=null;#u={};constructor(){this.#a=this.#g([b,...v]);const e=v.map(({name:r})=>this.#a.get(r).row);this.#n.append(a("summary",{},"Options"),a("div",{class:"rows"},this.#s,this.#a.get(b.name).row),y("Files",this.#t.place),y("Mesh settings",a("div",{class:"rows"},...e)));const t=a("div",{class:"row"},a("label",{for:"model"},"Model"),this.#e);this.place=a("div",{class:"choice"},a("div",{},t,this.#r),this.#n),this.#e.addEventListener("change",()=>{this.#d=this.#e.value,this.#p()}),this.#t.place.addEventListener("change",()=>{this.#l=this.#t.checked().join(",")||null}),this.#n.addEventListener("invalid",()=>this.#n.open=!0,{capture:!0})}offer(e,t,r){this.#i=e.filter(o=>!o.reason),this.#l??=r;const s=({title:o,ready:c})=>o+(c?"":" (no worker)");this.#e.replaceChildren(...this.#i.map(o=>new Option(s(o),o.id)));const n=ie(this.#i,this.#d??t);n&&(this.#e.value=n.id),this.#p()}get empty(){return this.#i.length===0}get params(){const e={...this.#u,outputs:this.#m()},t=this.#h?.id??this.#d;t&&(e.model=t);for(const[r,s]of[...this.#c,...this.#a]){const n=s.value();n!==void 0&&(e[r]=n)}return e}set params(e){const{model:t,outputs:r,...s}=e;t&&(this.#d=t),r&&(this.#l=typeof r=="string"?r:r.join(","));for(const[n,o]of Object.entries(s))se.has(n)?this.#u[n]=o:this.#o.set(n,String(o));for(const[n,o]of this.#a){const c=this.#o.get(n);c!==void 0&&o.set(c)}this.#i.some(({id:n})=>n===t)&&(this.#e.value=t),this.#p()}get#h(){return this.#i.find(({id:e})=>e===this.#e.value)}#m(){const e=this.#t.checked();return e.length>0?e:w(this.#h,this.#l)}#p(){const e=this.#h;this.#r.textContent=e?ae(e):"",this.#c=this.#g(V(e)),this.#s.replaceChildren(...[...this.#c.values()].map(r=>r.row));const t=new Set(w(e,this.#l));this.#t.show(re(e?.outputs??[]),t)}#g(e){return new Map(e.map(t=>{const r=U(t,n=>this.#o.set(t.name,n)),s=this.#o.get(t.name);return s!==void 0&&r.set(s),[t.name,r]}))}}function y(i,...e){return a("fieldset",{},a("legend",{},i),...e)}function ae(i){const e=i.ready?"":" No worker serves it now: a job waits until one comes.";return i.description+e}const oe=.92;function ce(i){const e=String.fromCharCode(...i.subarray(0,12));return e.startsWith(`PNG\r

`)?"image/png":e.startsWith("ÿØÿ")?"image/jpeg":e.startsWith("RIFF")&&e.slice(8,12)==="WEBP"?"image/webp":null}function le(i,e,t){const r=Math.min(t/Math.max(i,e),1),s=n=>Math.max(Math.round(n*r),1);return[s(i),s(e)]}async function de(i,e){const t=ce(await he(i));if(!t)throw ue(i);const r=await pe(i);try{const[s,n]=le(r.width,r.height,e);return s===r.width&&n===r.height?ge(i,t):await me(r,s,n,t)}finally{r.close()}}async function he(i){try{return new Uint8Array(await i.slice(0,12).arrayBuffer())}catch(e){throw new d({code:"file_unreadable",title:"The file cannot be read",detail:"It may be a folder, or may have been moved meanwhile.",hint:"Choose it again."},{cause:e})}}function ue(i){const e=i instanceof File&&i.name?`The file "${i.name}"`:"This file";return new d({code:"unsupported_type",detail:`${e} is no PNG, JPEG or WebP picture.`,hint:"Save it as one of these, or take a screenshot of it and paste that."})}async function pe(i){try{return await createImageBitmap(i,{imageOrientation:"from-image"})}catch(e){throw new d({code:"image_undecodable",detail:"The file is damaged or cut short.",hint:"Save it anew, or choose another picture."},{cause:e})}}async function me(i,e,t,r){const s=Object.assign(document.createElement("canvas"),{width:e,height:t}),n=s.getContext("2d",{willReadFrequently:!0});n.imageSmoothingQuality="high",n.drawImage(i,0,0,e,t);const o=r!=="image/jpeg"&&fe(n,e,t);return C(s,o?"image/png":"image/jpeg")}function fe(i,e,t){const{data:r}=i.getImageData(0,0,e,t);for(let s=3;s<r.length;s+=4)if(r[s]!==255)return!0;return!1}function C(i,e){return new Promise((t,r)=>{i.toBlob(s=>{s?t(s):r(new d({code:"image_undecodable",detail:"The picture is too large for this browser."}))},e,oe)})}function ge(i,e){return i.type===e?i:i instanceof File?new File([i],i.name,{type:e}):new Blob([i],{type:e})}const A=()=>"capture"in HTMLInputElement.prototype&&matchMedia("(pointer: coarse)").matches,be=()=>A()||!!navigator.mediaDevices?.getUserMedia;async function ve(i,e){const t=await we();try{return e?.aborted?null:await xe(i,t,e)}finally{for(const r of t.getTracks())r.stop()}}async function we(){try{const i={facingMode:"environment",width:{ideal:1920},height:{ideal:1440}};return await navigator.mediaDevices.getUserMedia({video:i})}catch(i){throw new d({code:"camera_unavailable",...ye(i)},{cause:i})}}function ye(i){switch(i.name){case"NotAllowedError":return{title:"The camera is not allowed",detail:"This page may not use the camera.",hint:"Allow it in the browser's settings for this page, or choose a file."};case"NotFoundError":return{title:"No camera was found",detail:"This device has none, or it is unplugged.",hint:"Choose a file, or paste a picture."};default:return{title:"The camera does not start",detail:"Another program may be using it.",hint:"Close that program and try again, or choose a file."}}}function xe(i,e,t){const r=a("video",{autoplay:!0,playsinline:!0,"aria-label":"What the camera sees"});r.muted=!0,r.srcObject=e;const s=a("button",{type:"button",class:"primary",disabled:!0},"Take picture"),n=a("button",{type:"button",class:"plain"},"Close"),o=a("dialog",{class:"camera","aria-label":"Camera"},r,a("p",{class:"note"},"One object, on a plain background."),a("div",{class:"actions"},s,n));return i.append(o),new Promise((c,l)=>{n.addEventListener("click",()=>o.close()),r.addEventListener("loadeddata",()=>{s.disabled=!1,s.focus()}),s.addEventListener("click",()=>{const u=document.createElement("canvas");Object.assign(u,{width:r.videoWidth,height:r.videoHeight}),u.getContext("2d").drawImage(r,0,0),C(u,"image/jpeg").then(c,l).finally(()=>o.close())});const h=()=>{t?.removeEventListener("abort",h),o.remove(),c(null)};o.addEventListener("close",h),t?.addEventListener("abort",h),o.showModal()})}function ke(i,e){return Array.isArray(i)?i.flatMap(t=>{const{name:r,url:s}=t??{};if(typeof r!="string"||typeof s!="string"||!URL.canParse(s,e))return[];const n=new URL(s,e);return/^https?:$/.test(n.protocol)?[{name:r,url:n.href}]:[]}):[]}async function Ee(i,e){try{const t=await fetch(i,{signal:e});return t.ok?ke(await t.json(),t.url):[]}catch{return[]}}const Ce="M4 16.5 8.6 12a1.6 1.6 0 0 1 2.3 0l4.6 4.6m-1.6-1.6 1.6-1.6a1.6 1.6 0 0 1 2.3 0L20 15.6M5.5 20h13a1.5 1.5 0 0 0 1.5-1.5v-13A1.5 1.5 0 0 0 18.5 4h-13A1.5 1.5 0 0 0 4 5.5v13A1.5 1.5 0 0 0 5.5 20ZM15 8.6h.01",Ae="M8.2 6.5 9.4 4.7c.3-.5.7-.7 1.2-.7h2.8c.5 0 .9.2 1.2.7l1.2 1.8h2.7A1.5 1.5 0 0 1 20 8v10a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 18V8a1.5 1.5 0 0 1 1.5-1.5ZM12 16.2a3.4 3.4 0 1 0 0-6.8 3.4 3.4 0 0 0 0 6.8Z",x="image/png,image/jpeg,image/webp";class Le{#e;#r=a("img",{alt:"",hidden:!0});#s=a("span",{class:"prompt"},f(Ce),a("b",{},"Choose a picture"),a("span",{class:"desk"},"or drop or paste one here"),a("small",{},"One object on a plain background",a("br"),"PNG, JPEG or WebP"));#t=a("span",{class:"change",hidden:!0},"Change the picture");#n=a("button",{type:"button",class:"drop"},this.#r,this.#s,this.#t);#o=a("input",{type:"file",accept:x,hidden:!0,"aria-label":"Picture"});#a=a("input",{type:"file",accept:x,capture:"environment",hidden:!0});#c=a("button",{type:"button",class:"tile","aria-label":"Take a picture with the camera",hidden:!0},f(Ae));#i=a("div",{class:"tiles",role:"group","aria-label":"Other pictures"},this.#c);place=a("div",{class:"source"},this.#n,this.#i,this.#o,this.#a);#l=null;#d=null;#u=null;constructor(e){this.#e=e,this.#n.addEventListener("click",()=>this.#o.click()),this.#c.addEventListener("click",()=>{this.#p()});for(const t of[this.#o,this.#a])t.addEventListener("change",()=>{const r=t.files?.[0];t.value="",r&&e.onFile(r)})}show(e,t){URL.revokeObjectURL(this.#r.src),e?this.#r.src=URL.createObjectURL(e):this.#r.removeAttribute("src"),this.#r.alt=e?`Chosen picture${t?`: ${t}`:""}.`:"",this.#r.hidden=this.#t.hidden=!e,this.#s.hidden=!!e}hover(e){this.#n.classList.toggle("over",e)}busy(e){this.#n.classList.toggle("busy",e),this.#n.setAttribute("aria-busy",String(e))}forgetExample(){this.#l?.abort(),this.#l=null}offerCamera(e){this.#c.hidden=!e||!be()}async offerExamples(e,t){[this.#u,this.#d]=[e,t];const r=e?await Ee(e,t):[];t.aborted||e!==this.#u||this.#i.replaceChildren(...r.map(s=>this.#h(s)),this.#c)}#h({name:e,url:t}){const r=()=>{this.#m(e,t)},s=a("img",{src:t,alt:"",loading:"lazy",crossorigin:"anonymous"});return a("button",{type:"button",class:"tile","aria-label":`Example: ${e}`,title:e,click:r},s)}async#m(e,t){this.forgetExample();const{signal:r}=this.#l=new AbortController;try{const s=await fetch(t,{signal:r});if(!s.ok)throw new Error(`answered ${s.status}`);const n=new File([await s.blob()],e);r.aborted||this.#e.onFile(n)}catch(s){if(r.aborted)return;this.#e.onError(new L(`The example "${e}" cannot be fetched.`,{cause:s}))}}async#p(){if(A())return this.#a.click();try{const e=await ve(this.place.getRootNode(),this.#d);e&&this.#e.onFile(e)}catch(e){if(!(e instanceof d))throw e;this.#e.onError(e)}}}const Se=2e3;class Me{job=null;#e;#r;#s;#t=null;constructor(e,t,r){this.#e=e,this.#r=t,this.#s=r}get busy(){return this.#t!==null}async submit(e,t){const r=async s=>{this.#r.sending();const n=await this.#e.client.submit(e,t,{signal:s});return p(this.#e,"bozzetto-submit",{job:n,blob:e,params:t}),n};return this.#n(r,()=>{this.submit(e,t)})}async resume(e){this.#t?.abort();const t=r=>this.#e.client.job(e,{signal:r});return this.#n(t,()=>{this.resume(e)})}async cancel(){if(this.#t){if(!this.job)return this.#t.abort();this.#r.stopping();try{await this.#e.client.cancel(this.job.id)}catch(e){e instanceof d&&e.code==="already_final"||this.#s.onError(e,()=>{this.cancel()})}}}leave(){this.#t?.abort()}async#n(e,t){const r=new AbortController;this.#t=r,this.job=null,this.#s.onBusy(!0);let s=null;try{this.job=await e(r.signal),this.job=await this.#o(this.job,r.signal)}catch(c){s=c}if(r!==this.#t)return null;this.#t=null,this.#s.onBusy(!1);const n=this.job?.id,o=n===void 0?t:()=>{this.resume(n)};return s!==null?this.#s.onError(s,o):this.#c(this.job,t),s===null?this.job:null}async#o(e,t){if(S.has(e.status))return e;const r=this.#r;let s=e.status==="queued";r.waiting(e.queue);const n=setInterval(()=>s&&void this.#a(e.id,t),Se);try{return await this.#e.client.wait(e,{signal:t,onState:o=>{s=o==="queued",s?r.waiting(null):o==="running"&&r.begun()},onProgress:o=>{r.progress(o),p(this.#e,"bozzetto-progress",{progress:o})},onCloud:o=>{this.#i?.showCloud?.(o),p(this.#e,"bozzetto-cloud",{cloud:o})},onReconnect:()=>r.reconnecting()})}finally{clearInterval(n)}}async#a(e,t){const r=await this.#e.client.job(e,{signal:t}).catch(()=>null);r?.status==="queued"&&!t.aborted&&this.#r.waiting(r.queue)}#c(e,t){const r=this.#i;e.status==="succeeded"?(this.#r.done(e),r?.showJob?.(e,this.#e.client)):(r?.clear?.(),e.status==="canceled"?this.#r.canceled():this.#s.onError(new M(e),t)),p(this.#e,"bozzetto-done",{job:e})}get#i(){const e=this.#e.getAttribute("for");return e?this.#e.getRootNode().getElementById(e):null}}function Te({onHover:i,onFile:e},t){const r=(n,o)=>document.addEventListener(n,o,{signal:t}),s=n=>{n.defaultPrevented||!n.dataTransfer?.types.includes("Files")||(n.preventDefault(),i(!0))};r("dragenter",s),r("dragover",s),r("dragleave",n=>{n.relatedTarget||i(!1)}),r("drop",n=>{i(!1);const o=n.dataTransfer?.files[0];n.defaultPrevented||!o||(n.preventDefault(),e(o))}),r("paste",n=>{const o=n.clipboardData?.files[0];n.defaultPrevented||!o||T(z())||(n.preventDefault(),e(o))})}const ze=1;class Pe{#e=null;secondsLeft({stage:e,step:t,steps:r},s){const n=this.#e;if(e!=="reconstruct"||r<=1)return this.#e=null,null;if(!n||n.steps!==r||t<n.step)return this.#e={step:t,steps:r,at:s},null;const[o,c]=[t-n.step,s-n.at];return o<1||c<ze||t>=r?null:c/o*(r-t)}}const je="M12 8.5v4.5m0 3h.01M10.3 4.3 2.6 17.5A2 2 0 0 0 4.3 20.5h15.4a2 2 0 0 0 1.7-3L13.7 4.3a2 2 0 0 0-3.4 0Z";class Oe{#e=a("progress",{max:100,"aria-label":"Progress"});#r=a("p",{class:"words"});#s=a("p",{class:"left"});#t=a("div",{class:"status",hidden:!0},this.#e,a("div",{class:"said"},this.#r,this.#s));#n=a("p",{class:"visually-hidden",role:"status"});#o=a("div",{class:"error",role:"alert",hidden:!0});place=a("div",{class:"telling"},this.#t,this.#o,this.#n);#a="";#c=new Pe;sending(){this.clear(),this.#i("Sending the picture","sending",null)}waiting(e){this.#i(P(e),"queued",null)}begun(){this.#i("A worker has begun","running",0)}progress(e){this.#i(j(e),e.stage,e.percent);const t=this.#c.secondsLeft(e,performance.now()/1e3);this.#s.textContent=t===null?"":`about ${O(t)} left`}reconnecting(){this.#i("The connection was lost; trying again","reconnecting",null)}stopping(){this.#i("Stopping","stopping",null)}done(e){this.#i(Re(e),"done",100),this.#t.classList.add("done")}canceled(){this.#i("Cancelled","canceled",0),this.#t.classList.add("done")}failed(e,t){const{title:r,detail:s,hint:n}=R(e);this.clear();const o=t&&a("button",{type:"button",class:"plain",click:t},"Try again"),l=e.status>=500&&e.requestId&&a("p",{class:"request"},`Request ${e.requestId}`),h=[s,n].filter(Boolean).map(g=>a("p",{},g)),u=a("div",{},a("strong",{},r),...h,l||null,o);this.#o.replaceChildren(f(je),u),this.#o.hidden=!1}clear(){this.#t.hidden=this.#o.hidden=!0,this.#t.classList.remove("done"),this.#a=this.#n.textContent=this.#s.textContent=""}#i(e,t,r){this.#t.hidden=!1,this.#o.hidden=!0,this.#r.textContent=e,this.#s.textContent="",r===null?this.#e.removeAttribute("value"):this.#e.value=r,t!==this.#a&&(this.#a=t,this.#n.textContent=e)}}function Re({created_at:i,finished_at:e}){return e?`Done in ${F((Date.parse(e)-Date.parse(i))/1e3)}`:"Done"}const Fe=I(_,`
  :host { display: block; container-type: inline-size; color: var(--text); font: 1rem/1.5 var(--font); }
  form {
    display: grid;
    grid-template-columns: minmax(0, 1fr);
    gap: 0.9rem;
    padding: 1.1rem 1.1rem 0;
    background: var(--surface);
    border: 1px solid var(--border);
    border-radius: var(--radius);
  }
  p { margin: 0; }
  .note { color: var(--muted); font-size: 0.875rem; line-height: 1.45; }
  .icon { width: 1.5em; height: 1.5em; flex: none; }

  button, input, select { font: inherit; color: inherit; }
  button {
    min-height: 2.75rem;
    padding: 0.5rem 1.1rem;
    font-weight: 600;
    border: 1px solid transparent;
    border-radius: var(--control-radius);
    cursor: pointer;
    touch-action: manipulation;
  }
  button:disabled { opacity: 0.5; cursor: default; }
  .primary { color: var(--on-accent); background: var(--accent); }
  .primary:hover:enabled { background: color-mix(in srgb, var(--accent), var(--text) 14%); }
  .plain { background: none; border-color: var(--control-border); }
  .plain:hover { background: var(--hover); }

  .source { display: grid; gap: 0.6rem; }
  .drop {
    position: relative;
    display: grid;
    place-items: center;
    width: 100%;
    height: 13rem;
    padding: 0.6rem;
    overflow: hidden;
    font-weight: 400;
    color: var(--muted);
    background: var(--background);
    border: 1.5px dashed var(--control-border);
    border-radius: var(--radius);
    transition: border-color 0.15s, background 0.15s;
  }
  .drop:hover, .drop.over { border-color: var(--accent); }
  .drop.over { background: color-mix(in srgb, var(--background), var(--accent) 12%); }
  .drop:has(img:not([hidden])) { border-style: solid; border-color: var(--border); }
  .drop img { width: 100%; height: 100%; min-height: 0; object-fit: contain; }
  .drop.busy > * { opacity: 0.4; }
  .prompt { display: grid; justify-items: center; line-height: 1.4; }
  .prompt .icon { width: 2.2rem; height: 2.2rem; margin-bottom: 0.5rem; color: var(--accent); }
  .prompt b { color: var(--text); font-size: 1.05rem; }
  .prompt small { margin-top: 0.5rem; font-size: 0.8125rem; }
  @media (pointer: coarse) { .prompt .desk { display: none; } }
  .change {
    position: absolute;
    inset: auto auto 0.6rem;
    padding: 0.15rem 0.8rem;
    color: var(--text);
    font-size: 0.875rem;
    background: color-mix(in srgb, var(--surface), transparent 8%);
    border: 1px solid var(--border);
    border-radius: 1rem;
    opacity: 0;
    transition: opacity 0.15s;
  }
  .drop:is(:hover, :focus-visible) .change { opacity: 1; }
  @media (hover: none) {
    .change { opacity: 1; }
    .drop:has(img:not([hidden])) { padding-bottom: 2.8rem; }
  }

  .tiles { display: flex; flex-wrap: wrap; gap: 0.5rem; }
  .tiles:not(:has(> :not([hidden]))) { display: none; }
  .tile {
    display: grid;
    place-items: center;
    width: 3.25rem;
    height: 3.25rem;
    padding: 0;
    overflow: hidden;
    color: var(--muted);
    background: var(--background);
    border-color: var(--border);
    transition: border-color 0.15s;
  }
  .tile:hover { border-color: var(--accent); color: var(--accent); }
  .tile img { width: 100%; height: 100%; object-fit: cover; }

  .rows, .choice { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0.5rem; }
  .row { display: flex; align-items: center; gap: 0.6rem; min-height: 2.75rem; }
  .row > :is(label, .name) { flex: 0 0 6.15rem; color: var(--muted); }
  .row > label::first-letter { text-transform: uppercase; }
  .row > :is(select, input, .checks) { flex: 1; min-width: 0; }
  .row:has(> .note) { flex-wrap: wrap; row-gap: 0.2rem; }
  .row > .note { flex: 1 0 100%; overflow-wrap: anywhere; }
  .row output { flex: 0 0 2rem; text-align: right; font-variant-numeric: tabular-nums; }
  select, input:is([type="number"], [type="text"], [type="password"]) {
    height: 2.75rem;
    padding: 0 0.6rem;
    background: var(--background);
    border: 1px solid var(--control-border);
    border-radius: var(--control-radius);
  }
  select {
    padding-right: 1.5rem;
    appearance: none;
    text-overflow: ellipsis;
    cursor: pointer;
    background:
      linear-gradient(45deg, transparent 50%, currentColor 50%) right calc(0.6rem + 5px) center / 5px 5px no-repeat,
      linear-gradient(-45deg, transparent 50%, currentColor 50%) right 0.6rem center / 5px 5px no-repeat,
      var(--background);
  }
  option { color: var(--text); background: var(--surface); }
  /* What has focus must not hide behind the foot. */
  :is(input, select, summary) { scroll-margin-block: 1rem 8rem; }
  ::placeholder { color: var(--muted); opacity: 1; }
  input:is([type="range"], [type="checkbox"]) { margin: 0; accent-color: var(--accent); }
  input[type="range"] { height: 2.75rem; cursor: pointer; }
  #about { margin-top: 0.35rem; }

  .options { border-top: 1px solid var(--border); }
  summary {
    display: flex;
    align-items: center;
    gap: 0.5rem;
    min-height: 2.75rem;
    color: var(--muted);
    border-radius: var(--control-radius);
    cursor: pointer;
    list-style: none;
  }
  summary::-webkit-details-marker { display: none; }
  summary::before {
    content: "";
    width: 0.45rem;
    height: 0.45rem;
    margin: 0 0.2rem;
    border: solid currentColor;
    border-width: 0 1.75px 1.75px 0;
    transform: rotate(-45deg);
    transition: transform 0.15s;
  }
  details[open] > summary::before { transform: rotate(45deg); }
  summary:hover { color: var(--text); }
  fieldset { margin: 0.9rem 0 0; padding: 0; border: 0; min-width: 0; }
  legend { padding: 0; font-size: 0.875rem; font-weight: 600; }
  .checks { display: flex; flex-wrap: wrap; gap: 0 0.7rem; }
  .check { display: flex; align-items: center; gap: 0.4rem; min-height: 2.75rem; cursor: pointer; }
  .check input { width: 1.1rem; height: 1.1rem; }
  .files .row { align-items: start; }
  .row > .name { flex-basis: 4.6rem; line-height: 2.75rem; }

  .foot {
    position: sticky;
    bottom: 0;
    z-index: 1;
    display: grid;
    grid-template-columns: minmax(0, 1fr);
    gap: 0.7rem;
    margin: -0.9rem -1.1rem 0;
    padding: 0.9rem 1.1rem 1.1rem;
    background: linear-gradient(transparent, var(--surface) 0.9rem);
    border-radius: 0 0 var(--radius) var(--radius);
  }
  .actions { display: flex; gap: 0.6rem; }
  .actions > * { flex: 1; }
  .telling { position: relative; }
  progress {
    display: block;
    width: 100%;
    height: 0.4rem;
    appearance: none;
    overflow: hidden;
    background: color-mix(in srgb, var(--border), var(--surface) 25%);
    border: 0;
    border-radius: 1rem;
  }
  progress::-webkit-progress-bar { background: none; }
  progress::-webkit-progress-value { background: var(--accent); border-radius: 1rem; transition: width 0.25s; }
  progress::-moz-progress-bar { background: var(--accent); border-radius: 1rem; }
  progress:not([value]) {
    background-image: linear-gradient(90deg, transparent, var(--accent), transparent);
    background-size: 40% 100%;
    background-repeat: no-repeat;
    animation: wait 1.4s ease-in-out infinite alternate;
  }
  progress:not([value])::-moz-progress-bar { background: none; }
  @keyframes wait { from { background-position: -20% 0; } to { background-position: 120% 0; } }
  .said { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 0.8rem; margin-top: 0.35rem; }
  .said { color: var(--muted); font-size: 0.9rem; font-variant-numeric: tabular-nums; }
  .done .words { color: var(--text); }
  .done progress { display: none; }
  .error {
    display: flex;
    gap: 0.7rem;
    padding: 0.8rem 0.9rem;
    overflow-wrap: anywhere;
    font-size: 0.9375rem;
    background: color-mix(in srgb, var(--surface), var(--danger) 10%);
    border-radius: var(--control-radius);
  }
  .error .icon { margin-top: -0.05rem; }
  .error :is(strong, .icon) { color: var(--danger); }
  .error p { margin-top: 0.2rem; }
  .error .request { color: var(--muted); font-size: 0.8125rem; }
  .error button { margin-top: 0.6rem; }

  .camera {
    width: min(40rem, 100vw - 2rem);
    padding: 1rem;
    color: inherit;
    background: var(--surface);
    border: 1px solid var(--border);
    border-radius: var(--radius);
  }
  .camera[open] { display: grid; gap: 0.7rem; }
  .camera::backdrop { background: rgb(0 0 0 / 55%); }
  .camera video { display: block; width: 100%; max-height: 60vh; background: #000; border-radius: var(--control-radius); }

  @container (max-width: 20rem) {
    .row { flex-wrap: wrap; gap: 0 0.8rem; }
    .row > :is(label, .name) { flex-basis: 100%; line-height: 1.5; }
  }
  @media (max-height: 32rem) { .foot { position: static; } }
  @media (prefers-reduced-motion: reduce) {
    *, ::before { transition: none !important; }
    progress:not([value]) { animation-duration: 4s; }
  }
  `),Ie=1536;class _e extends HTMLElement{static observedAttributes=["server","api-key","model","outputs","examples","no-options","no-camera"];#e=new Le({onFile:e=>{this.#p(e)},onError:e=>this.#m(e)});#r=new ne;#s=new Oe;#t=new Me(this,this.#s,{onBusy:e=>this.#x(e),onError:(e,t)=>this.#m(e,t)});#n=a("input",{id:"key",type:"password",autocomplete:"off"});#o=a("div",{class:"row",hidden:!0},a("label",{for:"key"},"API key"),this.#n);#a=a("button",{type:"submit",class:"primary",disabled:!0},"Reconstruct");#c=a("button",{type:"button",class:"plain",hidden:!0},"Cancel");#i=a("form",{novalidate:!0});#l=null;#d=null;#u=null;#h=null;constructor(){super();const e=this.attachShadow({mode:"open"});e.adoptedStyleSheets=[Fe];const t=a("div",{class:"actions"},this.#a,this.#c),r=a("div",{class:"foot"},this.#o,t,this.#s.place);this.#i.append(this.#e.place,this.#r.place,r),e.append(this.#i),this.#i.addEventListener("submit",s=>{s.preventDefault(),this.submit()}),this.#c.addEventListener("click",()=>{this.cancel()}),this.#n.addEventListener("change",()=>this.#E(this.#n.value.trim()))}connectedCallback(){this.#h=new AbortController,this.#C("client","params","picture");const{signal:e}=this.#h;Te({onFile:r=>{this.#p(r)},onHover:r=>this.#e.hover(r)},e),this.#f(),this.#v(),this.#w()}disconnectedCallback(){this.#h?.abort(),queueMicrotask(()=>{this.isConnected||this.#t.leave()})}attributeChangedCallback(e){(e==="server"||e==="api-key")&&(this.#l=null),!(!this.isConnected||!this.#h)&&(e==="examples"?this.#v():e.startsWith("no-")?this.#w():e==="model"||e==="outputs"?this.#k(e):this.#f(),e==="server"&&this.#v())}get picture(){return this.#d}set picture(e){e?this.#p(e):this.#y()}get client(){const e=N(this.#b)||(this.getAttribute("api-key")??"");return this.#l??=new D({server:this.#b,apiKey:e})}set client(e){this.#l=e,this.isConnected&&this.#f()}get job(){return this.#t.job}get params(){return this.#r.params}set params(e){this.#r.params=e}async submit(){return!this.#d||this.#t.busy||!this.#i.reportValidity()?null:this.#t.submit(this.#d,this.params)}async resume(e){return this.#t.resume(e)}async cancel(){return this.#t.cancel()}#m(e,t=null){if(!(e instanceof d)){if(this.#s.clear(),e instanceof DOMException&&e.name==="AbortError")return;throw e}e.status===401&&(this.#o.hidden=!1,this.#n.focus()),this.#s.failed(e,e.retryable?t:null),p(this,"bozzetto-error",{error:e})}async#p(e){const t=Number(this.getAttribute("max-side")),r=t>0?t:Ie;this.#u=e,this.#e.forgetExample(),this.#e.busy(!0);try{const s=await de(e,r);this.#u===e&&this.#g(s,e instanceof File?e.name:"")}catch(s){this.#u===e&&this.#m(s)}finally{this.#u===e&&this.#e.busy(!1)}}#g(e,t=""){this.#d=e,this.#e.show(e,t),this.#a.disabled=!e,this.#t.busy||this.#s.clear(),this.#r.empty&&this.isConnected&&this.#f(),e&&p(this,"bozzetto-picture",{blob:e})}#y(){this.#u=null,this.#e.forgetExample(),this.#e.busy(!1),this.#g(null)}#x(e){const t=this.shadowRoot,[r,s]=e?[this.#c,this.#a]:[this.#a,this.#c],n=t.activeElement===s;r.hidden=!1,s.hidden=!0,n&&r.focus({preventScroll:!0})}#k(e){const t=this.getAttribute(e);t&&(this.#r.params={[e]:t})}#w(){this.#r.place.hidden=this.hasAttribute("no-options"),this.#e.offerCamera(!this.hasAttribute("no-camera"))}#E(e){B(this.#b,e),this.#l=null,this.#f()}async#f(){const e=this.client;try{const t=await e.models({signal:this.#h.signal});if(e!==this.client)return;this.#r.offer(t,this.getAttribute("model"),this.getAttribute("outputs"))}catch(t){this.#m(t,()=>{this.#s.clear(),this.#f()})}}async#v(){const e=this.getAttribute("examples")??`${this.#b}/static/examples.json`;await this.#e.offerExamples(e==="none"?null:e,this.#h.signal)}#C(...e){for(const t of e){if(!Object.hasOwn(this,t))continue;const r=this[t];delete this[t],Object.assign(this,{[t]:r})}}get#b(){return(this.getAttribute("server")??"").replace(/\/+$/,"")}}customElements.get("bozzetto-upload")||customElements.define("bozzetto-upload",_e);export{_e as BozzettoUpload,N as r};
