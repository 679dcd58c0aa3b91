# weft_kernel_cases(OP source): the source defines std::vector<KernelCase> OP_cases() in namespace weft (kernel_case.h), which
# `weft bench kernels OP` runs.
function(weft_kernel_cases op source)
  cmake_path(ABSOLUTE_PATH source OUTPUT_VARIABLE path)
  set_property(GLOBAL APPEND PROPERTY WEFT_KERNEL_CASE_OPS ${op})
  set_property(GLOBAL APPEND PROPERTY WEFT_KERNEL_CASE_SOURCES ${path})
endfunction()
