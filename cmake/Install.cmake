# cmake --install: shared and static library, header, program, pkg-config file, CMake package, manual page, shell completion.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS coppice coppice_static EXPORT coppice-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/coppice DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# relative to the .pc file, so that `cmake --install --prefix` and moved trees work
file(RELATIVE_PATH prefix_from_pc /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
list(JOIN static_libs " " libs_private)
configure_file(packaging/coppice.pc.in coppice.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/coppice.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Coppice)
install(EXPORT coppice-targets NAMESPACE Coppice:: FILE CoppiceConfig.cmake DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/CoppiceConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/CoppiceConfigVersion.cmake DESTINATION ${package_dir})

if(TARGET coppice_cli)
  install(TARGETS coppice_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  set_target_properties(coppice_cli PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  # The program prints both from its own option tables, so they cannot fall behind it. One that is built for another
  # machine needs an emulator for that.
  if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
    message(STATUS "No manual page and no shell completion: the program prints them, and this machine can't run it; "
                   "set CMAKE_CROSSCOMPILING_EMULATOR")
    return()
  endif()
  foreach(pair coppice.1:man coppice.bash:bash-completion)
    string(REPLACE ":" ";" pair ${pair})
    list(GET pair 0 file)
    list(GET pair 1 topic)
    add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/${file} DEPENDS coppice_cli VERBATIM
                       COMMAND sh -c "\"$@\" help ${topic} > ${PROJECT_BINARY_DIR}/${file}" sh
                               ${CMAKE_CROSSCOMPILING_EMULATOR} $<TARGET_FILE:coppice_cli>)
    list(APPEND generated ${PROJECT_BINARY_DIR}/${file})
  endforeach()
  add_custom_target(coppice_generated ALL DEPENDS ${generated})
  install(FILES ${PROJECT_BINARY_DIR}/coppice.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${PROJECT_BINARY_DIR}/coppice.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
          RENAME coppice)
endif()
