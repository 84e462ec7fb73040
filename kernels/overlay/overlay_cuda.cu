#include "cuda/device.cuh"
#include "overlay/overlay.h"

namespace fuseg {
namespace {

constexpr int kThreads = 192;
constexpr int kBlockBytes = kThreads * 16;     // 3,072
constexpr int kBlockPixels = kBlockBytes / 3;  // 1,024

// By label: red, green, blue, and 255 above them where the frame shows through.
struct Palette {
  std::uint32_t colour[256];
};

// What the threads of a block share.
struct Tile {
  std::uint32_t colour[256];
  alignas(16) std::uint8_t labels[kBlockPixels + 16];
};

struct PaintJob {
  const std::uint8_t* labels;
  const std::uint8_t* frame;  // or null
  std::int64_t row_bytes;
  std::uint8_t* out;
  std::int64_t width;
  std::int64_t pixels;
  std::uint32_t alpha;
};

// The blend of four bytes at once, two to a register: none reaches 65,536.
__device__ std::uint32_t mix_four(std::uint32_t frame, std::uint32_t colour,
                                  std::uint32_t alpha) {
  constexpr std::uint32_t kEven = 0x00ff00ff;
  const std::uint32_t keep = 256 - alpha;
  const std::uint32_t half = 0x00800080;
  const std::uint32_t even = (frame & kEven) * keep + (colour & kEven) * alpha + half;
  const std::uint32_t odd =
      (frame >> 8 & kEven) * keep + (colour >> 8 & kEven) * alpha + half;
  return (even >> 8 & kEven) | (odd & ~kEven);
}

// 16 bytes of the frame's pixels from byte `at` on, counted as if its rows were
// side by side.
__device__ Vec16 load_frame(const PaintJob& job, std::int64_t at, std::int64_t count) {
  const std::int64_t row = 3 * job.width;
  if (job.row_bytes == row) return load_bytes(job.frame + at, count);
  std::int64_t y = at / row;
  std::int64_t x = at % row;
  if (x + 16 <= row) {
    return load_bytes(job.frame + y * job.row_bytes + x, count);
  }
  Vec16 bytes = {{0, 0, 0, 0}};
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    if (i < count) {
      const std::uint8_t byte = __ldg(job.frame + y * job.row_bytes + x);
      bytes.word[i / 4] |= std::uint32_t{byte} << i % 4 * 8;
    }
    if (++x == row) {
      x = 0;
      ++y;
    }
  }
  return bytes;
}

// A block paints 1,024 pixels, a thread 16 of their 3,072 bytes: six pixels, the first
// and the last in part, so that neighbours read and write side by side. Labels and
// colours come from shared memory.
__global__ void __launch_bounds__(kThreads)
    overlay_kernel(const __grid_constant__ PaintJob job,
                   const __grid_constant__ Palette palette) {
  auto& [colour, labels] = shared<Tile>();
  const std::int64_t first = std::int64_t{blockIdx.x} * kBlockPixels;
  const std::int64_t count = min(job.pixels - first, std::int64_t{kBlockPixels});
  const int thread = static_cast<int>(threadIdx.x);  // 0 to 191

  // Phase 1: colours and labels on chip. Each thread takes one or two of the 256
  // colours; threads 0 to 63 take 16 labels each.
  for (int i = thread; i < 256; i += kThreads) colour[i] = palette.colour[i];
  if (thread * 16 < count) {
    const Vec16 some =
        load_bytes(job.labels + first + thread * 16, count - thread * 16);
    *reinterpret_cast<Vec16*>(labels + thread * 16) = some;
  }
  __syncthreads();

  // Phase 2: the 18 bytes of the six pixels that this thread's 16 are part of, as
  // words: `paint` their colours, `keep` a mask of those where the frame shows through.
  const int byte = thread * 16;                // of the block's: 0 to 3,056
  const std::int64_t left = 3 * count - byte;  // bytes from there to the end
  if (left <= 0) return;
  // Six pixels are eighteen bytes; `skip` of them lie before this thread's first.
  const int skip = byte % 3;  // 0 to 2
  std::uint32_t pixel[6];
#pragma unroll
  for (int i = 0; i < 6; ++i) {
    const int at = min(byte / 3 + i, static_cast<int>(count) - 1);
    pixel[i] = colour[labels[at]];
  }
  std::uint32_t paint[5], keep[5];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    // Word i of the eighteen bytes begins in pixel `p`, at its byte `from`.
    const int p = 4 * i / 3;
    const int from = 4 * i % 3;
    // The four bytes from there on, of (red, green, blue, flag) twice. As marks, bytes
    // 3 and 7: the flag of the pixel that each of the four belongs to.
    const std::uint32_t picks = from == 0 ? 0x4210 : from == 1 ? 0x5421 : 0x6542;
    const std::uint32_t marks = from == 0 ? 0x7333 : from == 1 ? 0x7733 : 0x7773;
    paint[i] = __byte_perm(pixel[p], pixel[p + 1], picks);
    keep[i] = __byte_perm(pixel[p], pixel[p + 1], marks);
  }
  paint[4] = __byte_perm(pixel[5], 0, 0x4421);
  keep[4] = __byte_perm(pixel[5], 0, 0x4433);

  // Phase 3: this thread's bytes of the 18, blended with the frame's and stored.
  Vec16 under = {{0, 0, 0, 0}};
  const std::int64_t at = 3 * first + byte;
  if (job.frame != nullptr) under = load_frame(job, at, left);
  Vec16 painted;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t over = __funnelshift_r(paint[i], paint[i + 1], 8 * skip);
    const std::uint32_t kept = __funnelshift_r(keep[i], keep[i + 1], 8 * skip);
    std::uint32_t mixed = over;
    if (job.frame != nullptr) mixed = mix_four(under.word[i], over, job.alpha);
    painted.word[i] = (mixed & ~kept) | (under.word[i] & kept);
  }
  store_bytes(job.out + at, painted, left);
}

}  // namespace

void overlay_cuda(const Overlay& job, CUstream_st* stream) {
  const std::int64_t pixels = job.height * job.width;
  if (pixels == 0) return;  // a grid of zero blocks is a launch error
  Palette palette;
  for (int k = 0; k < 256; ++k) {
    const std::uint8_t* rgb = job.palette + 3 * k;
    const bool painted = k < job.colours && k != job.ignore;
    palette.colour[k] = painted ? rgb[0] | rgb[1] << 8 | rgb[2] << 16 : 0xff000000u;
  }
  const PaintJob painted_job{job.labels,
                             job.frame,
                             job.row_bytes,
                             job.out,
                             job.width,
                             pixels,
                             static_cast<std::uint32_t>(job.alpha)};
  launch("overlay", overlay_kernel,
         dim3(static_cast<unsigned>(ceil_div(pixels, kBlockPixels))), kThreads, 0,
         stream, painted_job, palette);
}

}  // namespace fuseg
