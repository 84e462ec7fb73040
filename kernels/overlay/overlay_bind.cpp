#include <vector>

#include "common/kernel.h"
#include "overlay/overlay.h"

namespace fuseg {
namespace {

class OverlayKernel : public KernelOf<Overlay, OverlayKernel> {
 public:
  OverlayKernel(std::int64_t height, std::int64_t width,
                const HostArray<std::uint8_t>& palette, int alpha, int ignore,
                int threads)
      : palette_(palette.data(), palette.data() + palette.size()) {
    job_.height = height;
    job_.width = width;
    job_.palette = palette_.data();
    job_.colours = static_cast<int>(palette.shape(0));
    job_.alpha = alpha;
    job_.ignore = ignore;
    job_.threads = threads;

    const py::dtype bytes("uint8");
    input(job_.labels, bytes, {height, width});
    Array& frame = input(job_.frame, bytes, {height, width, 3});
    frame.row_bytes = field(job_.row_bytes);
    frame.optional = true;
    output(job_.out, bytes, {height, width, 3});
  }

  int call(const Overlay& job) { return FUSEG_PICK(overlay)(job); }
  int colours() const { return job_.colours; }

 private:
  std::vector<std::uint8_t> palette_;
};

}  // namespace

void bind_overlay(py::module_& m) {
  bind_kernel<OverlayKernel>(m, "Overlay", "overlay")
      .def(py::init<std::int64_t, std::int64_t, const HostArray<std::uint8_t>&, int,
                    int, int>(),
           "height"_a, "width"_a, "palette"_a.noconvert(), "alpha"_a, "ignore"_a,
           "threads"_a)
      .def_property_readonly("colours", &OverlayKernel::colours);
}

}  // namespace fuseg
