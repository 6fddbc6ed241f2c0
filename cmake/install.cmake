# What `cmake --install` puts where. All of it in one place, so that the layout can be read in one go:
#   ${bindir}                     geomem-record, geomem-report, geomem-top
#   ${libdir}/geomem              the preload library: private, outside the linker's search path
#   ${libexecdir}/geomem          geomem-symbolize, which the other commands start
#   ${datadir}                    man pages (docs/CMakeLists.txt), completions, magic for file(1), licences
# The commands find the two private parts relative to their own file, so an installation can be moved.
foreach(command geomem-record geomem-report geomem-top)
  if(TARGET ${command})
    install(TARGETS ${command} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
  endif()
endforeach()
if(TARGET geomem_preload)
  install(TARGETS geomem_preload LIBRARY DESTINATION ${GEOMEM_PRIVATE_LIBDIR} COMPONENT tools)
endif()
if(TARGET geomem-symbolize)
  install(TARGETS geomem-symbolize RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/geomem COMPONENT tools)
endif()
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT tools)
install(FILES docs/geomem.magic DESTINATION ${CMAKE_INSTALL_DATADIR}/geomem COMPONENT tools)
