/** Where tfjs's own gradients are wrong without a sign of it. */
import {
  Cumsum,
  cumsum,
  FloorDiv,
  MirrorPad,
  registerGradient,
  unregisterGradient,
  type Tensor,
} from "@tensorflow/tfjs-core";

interface CumsumAttributes {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

/** Call after tfjs's gradients are registered. */
export function correctGradients(): void {
  // tfjs transposes the result unless the axis is the last one.
  registerGradient({
    kernelName: Cumsum,
    gradFunc: (dy, _, attributes) => {
      const { axis, exclusive, reverse } = attributes as unknown as CumsumAttributes;
      return { x: () => cumsum(dy as Tensor, axis, exclusive, !reverse) };
    },
  });
  // tfjs leaves out what the mirrored elements pass back, and takes floorDiv for div: better none, an error.
  unregisterGradient(MirrorPad);
  unregisterGradient(FloorDiv);
}
