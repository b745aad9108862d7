import {
  CustomBlending,
  DoubleSide,
  GLSL3,
  Matrix3,
  OneFactor,
  OneMinusSrcAlphaFactor,
  RawShaderMaterial,
  type IUniform,
  type ShaderMaterialParameters,
  Vector3,
} from "three";
import { LIGHTING } from "./glsl";

export type Lighting = keyof typeof LIGHTING;

/** Uniforms that all lit materials share. */
export class Light {
  readonly uniforms = {
    lighting: { value: LIGHTING.studio as number },
    /** From the world to the camera's turn. */
    rig: { value: new Matrix3() },
    /** The camera in the world. */
    eyeAt: { value: new Vector3() },
  };

  set(lighting: Lighting): void {
    this.uniforms.lighting.value = LIGHTING[lighting];
  }

  follow(turn: number, eye: Vector3): void {
    const [sine, cosine] = [Math.sin(turn), Math.cos(turn)];
    this.uniforms.rig.value.set(cosine, 0, -sine, 0, 1, 0, sine, 0, cosine);
    this.uniforms.eyeAt.value.copy(eye);
  }
}

export function shader(
  vertexShader: string,
  fragmentShader: string,
  uniforms: Record<string, IUniform>,
  more: ShaderMaterialParameters = {},
): RawShaderMaterial {
  return new RawShaderMaterial({
    glslVersion: GLSL3,
    vertexShader,
    fragmentShader,
    uniforms,
    side: DoubleSide,
    ...more,
  });
}

/** For shaders that write premultiplied colour. */
export const OVER: ShaderMaterialParameters = {
  transparent: true,
  depthWrite: false,
  blending: CustomBlending,
  blendSrc: OneFactor,
  blendDst: OneMinusSrcAlphaFactor,
};
